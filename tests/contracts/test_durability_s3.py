"""An output in S3 is complete or not there, and an archive there is restored once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from tests.support.rasters import noise, read, texture, write

IDENTITY = ("--model", "identity", "--tile", "512")


def geoae(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "geoae", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(*words: str) -> tuple[int, list[str], list[str]]:
    process = geoae(*words)
    out, err = process.communicate(timeout=120)
    return process.returncode, out.splitlines(), err.splitlines()


def reasons(err: list[str]) -> list[str]:
    """Lines without those of the progress, which a slow machine gets more of."""
    return [line for line in err if " tiles, " not in line]


def keys(s3, prefix=""):
    found = s3.list_objects_v2(Bucket="archive", Prefix=prefix).get("Contents", [])
    return [one["Key"] for one in found]


def pending(s3):
    return s3.list_multipart_uploads(Bucket="archive").get("Uploads", [])


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The folder for temporary files."""
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work"))
    return tmp_path / "work"


@pytest.fixture
def large(tmp_path, s3, monkeypatch):
    """A scene in the bucket whose output is uploaded in several parts of 5 MiB, the fewest."""
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", "5")
    pixels = np.random.default_rng(0).integers(0, 65535, (3, 1500, 1400), dtype=np.uint16)
    path = write(tmp_path / "in.tif", pixels)
    s3.upload_file(str(path), "archive", "in.tif")
    return path


def restore(target: str) -> tuple[str, ...]:
    return "restore", "s3://archive/in.tif", "-o", target, *IDENTITY


def test_a_run_killed_in_the_middle_of_its_upload(large, s3_server, work, tmp_path):
    s3, store = s3_server
    store.held_part = 2
    doomed = geoae(*restore("s3://archive/out/x.tif"))
    assert store.reached.wait(60)
    doomed.kill()
    doomed.communicate()
    store.held_part = None
    store.released.set()
    assert keys(s3, "out/") == []
    assert len(pending(s3)) == 1
    assert list(work.glob("geoae-*/slab-*.tif"))
    s3.create_multipart_upload(Bucket="archive", Key="out/x.tif.other")
    report = tmp_path / "report.json"
    code, _, err = ended(*restore("s3://archive/out/x.tif"), "--report", str(report))
    assert (code, reasons(err)) == (0, []), err
    assert json.loads(report.read_text())["slabs_resumed"] > 0
    assert keys(s3, "out/") == ["out/x.tif"]
    assert [one["Key"] for one in pending(s3)] == ["out/x.tif.other"]
    assert list(work.iterdir()) == []
    local = Job(source=str(large), target=str(tmp_path / "local.tif"), model="identity", tile=512)
    run(local)
    assert np.array_equal(read("/vsis3/archive/out/x.tif"), read(tmp_path / "local.tif"))


def test_an_upload_that_is_refused_leaves_nothing_in_the_store(large, s3_server, work):
    s3, store = s3_server
    store.refused_part = 2
    code, _, err = ended(*restore("s3://archive/x.tif"))
    assert (code, len(reasons(err))) == (1, 1), "\n".join(err)
    assert reasons(err)[0].startswith("geoae: /vsis3/archive/x.tif: could not be uploaded (")
    assert keys(s3) == ["in.tif"]
    assert pending(s3) == []
    assert len(list(work.glob("geoae-*/x.tif"))) == 1
    store.refused_part = None
    assert ended(*restore("s3://archive/x.tif"))[0] == 0
    assert keys(s3) == ["in.tif", "x.tif"]


def test_an_upload_that_is_refused_leaves_the_older_output(large, s3_server, work):
    s3, store = s3_server
    assert ended(*restore("s3://archive/x.tif"))[0] == 0
    before = s3.head_object(Bucket="archive", Key="x.tif")["ETag"]
    store.refused_part = 2
    code, _, err = ended(*restore("s3://archive/x.tif"), "--profile", "gtiff", "--overwrite")
    assert (code, len(reasons(err))) == (1, 1), "\n".join(err)
    assert s3.head_object(Bucket="archive", Key="x.tif")["ETag"] == before
    assert pending(s3) == []


ONE_PROCESS = """
from geoae.pipeline.job import Job, target_of
from geoae.pipeline.run import run
from geoae.raster.tags import read_tags

job = Job(source="s3://archive/in.tif", target="s3://archive/x.tif", model="identity", tile=512)
assert read_tags(target_of(job)) is None
assert run(job).status == "restored"
assert run(job).status == "skipped"
report = run(job.model_copy(update={"profile": "gtiff", "overwrite": True}))
assert read_tags(target_of(job))["FINGERPRINT"] == report.fingerprint
"""


@pytest.mark.usefixtures("large", "work")
def test_an_output_is_seen_at_once_by_the_process_that_uploaded_it():
    """A process of its own, since GDAL waits for the store with Python's lock held."""
    done = subprocess.run(
        [sys.executable, "-c", ONE_PROCESS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_of_two_machines_that_restore_one_scene_one_completes_it(
    large, s3_server, work, tmp_path, monkeypatch
):
    """Machines do not share their folders for temporary files, in which the locks are."""
    s3, store = s3_server
    store.held_part = 2
    first = geoae(*restore("s3://archive/x.tif"))
    assert store.reached.wait(60)
    store.held_part = None
    (tmp_path / "other").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path / "other"))
        assert ended(*restore("s3://archive/x.tif"))[0] == 0
    whole = s3.head_object(Bucket="archive", Key="x.tif")["ETag"]
    store.released.set()
    err = reasons(first.communicate(timeout=120)[1].splitlines())
    assert (first.returncode, len(err)) == (1, 1), err
    assert err[0].startswith("geoae: /vsis3/archive/x.tif: could not be uploaded (")
    assert s3.head_object(Bucket="archive", Key="x.tif")["ETag"] == whole
    assert pending(s3) == []
    assert ended(*restore("s3://archive/x.tif"))[0] == 0
    assert s3.head_object(Bucket="archive", Key="x.tif")["ETag"] == whole


@pytest.fixture
def archive(tmp_path, s3):
    """Two scenes in a folder of the bucket, something that is no scene, and a hidden file."""
    for name in ("a", "deep/b"):
        pixels = (texture(2, 90, 80) + noise((2, 90, 80), 9)).astype(np.uint16)
        path = write(tmp_path / f"{Path(name).name}.tif", pixels)
        s3.upload_file(str(path), "archive", f"in/{name}.tif")
    s3.put_object(Bucket="archive", Key="in/broken.tif", Body=b"no raster")
    s3.put_object(Bucket="archive", Key="in/.draft.tif", Body=b"no raster")
    return tmp_path


BATCH = ("batch", "s3://archive/in/", "-o", "s3://archive/in/out", *IDENTITY, "--json")


def outcomes(out):
    return {
        one["target"].removeprefix("/vsis3/archive/in/out/"): (one["status"], one["reason"])
        for one in json.loads("\n".join(out))["outcomes"]
    }


def test_an_archive_in_a_store_is_restored_once(archive, s3_server, work):
    s3, store = s3_server
    code, out, _ = ended(*BATCH)
    first = outcomes(out)
    assert code == 1
    assert {name: status for name, (status, _) in first.items()} == {
        "a.tif": "restored",
        "broken.tif": "failed",
        "deep/b.tif": "restored",
    }
    assert (read("/vsis3/archive/in/out/a.tif") == read(archive / "a.tif")).all()
    assert len(keys(s3, "in/out/.geoae-failed/")) == 1
    store.requests.clear()
    code, out, _ = ended(*BATCH)
    again = outcomes(out)
    assert (code, again["a.tif"][0], again["deep/b.tif"][0]) == (1, "skipped", "skipped")
    assert again["broken.tif"][1].endswith("(not tried again: unchanged)")
    # Three listings and two for the note of the failure; no scene, and no output, is opened.
    assert len(store.requests) <= 5, store.requests
    for path in work.iterdir():  # the cache is rebuilt from the outputs
        path.unlink()
    assert outcomes(ended(*BATCH)[1]) == again
    s3.upload_file(str(archive / "a.tif"), "archive", "in/broken.tif")
    s3.upload_file(str(archive / "b.tif"), "archive", "in/a.tif")
    code, out, _ = ended(*BATCH)
    assert code == 0
    assert outcomes(out)["broken.tif"][0] == "restored"
    assert keys(s3, "in/out/.geoae-failed/") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("restore", "in.tif", "-o", "s3://nowhere/x.tif"), "geoae: s3://nowhere/x.tif: the store"),
        (("restore", "s3://archive/no.tif", "-o", "x.tif"), "geoae: s3://archive/no.tif: cannot"),
        (("batch", "s3://nowhere/in/", "-o", "out"), "geoae: s3://nowhere/in/: the store refuses"),
        (("batch", "s3://archive/none/", "-o", "out"), "geoae: s3://archive/none/: holds no scene"),
        (("batch", "in.tif", "-o", "s3://nowhere/out"), "geoae: s3://nowhere/out/.geoae-failed/"),
        (("batch", "in.tif", "-o", "gs://nowhere/out"), "geoae: /vsigs/nowhere/out: is no folder"),
    ],
)
def test_what_is_wrong_with_a_store_is_one_line(s3, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in.tif", texture(1, 60, 60).astype(np.uint16))
    code, out, err = ended(*words, "--model", "identity")
    assert (code, out, len(err)) == (1, [], 1), err
    assert err[0].startswith(said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif"]


def test_a_setting_that_is_wrong_is_one_line_before_the_work(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", "fifty")
    path = str(write(tmp_path / "in.tif", texture(1, 60, 60).astype(np.uint16)))
    code, out, err = ended("restore", path, "-o", "s3://archive/x.tif", *IDENTITY)
    assert (code, out, len(err)) == (1, [], 1), err
    assert err[0].startswith("geoae: VSIS3_CHUNK_SIZE=fifty: is no size of a part of an upload; ")


def test_without_credentials_nothing_is_begun(s3, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    code, out, err = ended("batch", "s3://archive/in/", "-o", "s3://archive/out")
    assert (code, out, len(err)) == (1, [], 1), err
    assert "credentials" in err[0]
    assert list(tmp_path.iterdir()) == []


def name_class(scene: Path, name: str) -> None:
    """Write a class name beside a scene, which its output has in a sidecar too."""
    scene.with_name(f"{scene.name}.aux.xml").write_text(
        f"<PAMDataset><PAMRasterBand band='2'><CategoryNames><Category>{name}</Category>"
        "</CategoryNames></PAMRasterBand></PAMDataset>"
    )


def test_a_raster_gets_its_name_after_its_sidecars(s3_server, large, work):
    s3, store = s3_server
    words = "restore", str(large), "-o", "s3://archive/x.tif", *IDENTITY, "--overwrite"

    def sidecar() -> bytes:
        return s3.get_object(Bucket="archive", Key="x.tif.aux.xml")["Body"].read()

    def place(method: str, name: str) -> int:
        return max(at for at, one in enumerate(store.requests) if one == (method, name))

    name_class(large, "sea")
    assert ended(*words)[0] == 0
    assert place("PUT", "/archive/x.tif") < place("PUT", "/archive/x.tif.aux.xml")
    assert place("PUT", "/archive/x.tif.aux.xml") < place("POST", "/archive/x.tif")
    name_class(large, "land")
    store.refused_part = 2
    assert ended(*words)[0] == 1
    assert b"sea" in sidecar(), "the older one stays with the older raster"
    store.refused_part = None
    assert ended(*words)[0] == 0
    assert b"land" in sidecar()
    large.with_name("in.tif.aux.xml").unlink()
    assert ended(*words)[0] == 0
    assert keys(s3, "x.tif") == ["x.tif"]
    assert place("DELETE", "/archive/x.tif.aux.xml") < place("POST", "/archive/x.tif")


def test_what_is_no_raster_is_not_replaced(s3, tmp_path, work):
    s3.put_object(Bucket="archive", Key="out.tif", Body=b"a text of somebody")
    path = str(write(tmp_path / "in.tif", texture(1, 60, 60).astype(np.uint16)))
    code, _, err = ended("restore", path, "-o", "s3://archive/out.tif", *IDENTITY)
    assert (code, len(err)) == (1, 1), "\n".join(err)
    assert "exists and is not this result" in err[0]
    assert s3.get_object(Bucket="archive", Key="out.tif")["Body"].read() == b"a text of somebody"
