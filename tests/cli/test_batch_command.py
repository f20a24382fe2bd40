import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.clusters import scheduler, wait_until, worker
from tests.support.rasters import noise, read, texture, write


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Two scenes in ``in``, below the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in ("a.tif", "b.tif"):
        pixels = texture(1, 64, 64) + noise((1, 64, 64), 5)
        write(tmp_path / "in" / name, pixels.astype(np.uint16))
    return tmp_path / "in"


@pytest.fixture
def batch(geoae, archive):
    """``geoae batch in -o out --model identity`` and more words."""
    return lambda *words: geoae("batch", "in", "-o", "out", "--model", "identity", *words)


def test_a_table_at_the_end(batch):
    code, out, err = batch()
    assert code == 0
    assert any("in/a.tif" in line and "restored" in line for line in out)
    assert out[-1].startswith("2 scenes: 2 restored; ")
    assert out[-1].endswith(" Mpx/s, 1 worker")
    assert [line.partition(",")[0] for line in err] == [
        "geoae: 1 of 2 scenes",
        "geoae: 2 of 2 scenes",
    ]
    assert batch() == (0, ["2 scenes: 2 skipped"], [])


def test_a_failure_is_exit_code_1(batch, archive):
    (archive / "a.tif").write_bytes(b"bad")
    code, out, err = batch()
    assert code == 1
    assert err[-1] == "geoae: 1 of 2 scenes failed, for the reasons above"
    assert err[0].startswith("geoae: in/a.tif: ")
    assert any("in/a.tif" in line and "failed" in line for line in out)
    assert out[-1].startswith("2 scenes: 1 failed, 1 restored; ")
    assert Path("out/b.tif").exists()


def test_json_in_place_of_the_table(batch):
    code, out, _ = batch("--json")
    assert code == 0
    report = json.loads("\n".join(out))
    assert [one["status"] for one in report["outcomes"]] == ["restored", "restored"]
    assert report["outcomes"][0]["target"] == "out/a.tif"
    assert report["workers"] == 1


def test_a_dry_run_and_a_limit(batch):
    code, out, err = batch("--dry-run", "--limit", "1", "--workers", "2")
    assert (code, err, out[-1]) == (0, [], "1 scene: 1 planned")
    assert not Path("out").exists()


def test_several_sources(geoae, archive):
    Path("list.txt").write_text("# chosen by hand\nin/b.tif\n\n")
    code, out, _ = geoae("batch", "list.txt", "in/a.tif", "-o", "out", "--model", "identity")
    assert (code, out[-1].partition(";")[0]) == (0, "2 scenes: 2 restored")
    assert sorted(path.name for path in Path("out").glob("*.tif")) == ["a.tif", "b.tif"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "-o", "out"], "geoae: nowhere: no such scene; correct the list"),
        (["in", "-o", "gs://b/out"], "geoae: /vsigs/b/out: is no folder of this machine"),
        (["in"], "geoae: batch: missing option '-o' / '--output'; see geoae batch --help"),
        (["in", "-o", "out", "--model", "none"], "geoae: none: "),
        (["in", "-o", "out", "--scheduler", "no.json"], "geoae: no.json: is no file of a Dask"),
        (
            ["in", "-o", "out", "--scheduler", "tcp://x:1", "--workers", "2"],
            "geoae: tcp://x:1: has",
        ),
    ],
)
def test_what_is_wrong_is_one_line(geoae, archive, words, said):
    code, out, err = geoae("batch", *words)
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith(said)


@pytest.mark.slow
def test_workers_of_this_machine(geoae, archive):
    words = ("--scheduler", "local", "--workers", "2", "--device", "cpu")
    code, out, err = geoae("batch", "in", "-o", "out", "--model", "identity", *words)
    assert (code, out[-1].rpartition(", ")[2]) == (0, "2 workers")
    assert all(line.startswith("geoae: ") for line in err)
    assert (read("out/a.tif") == read("in/a.tif")).all()


@pytest.mark.slow
def test_workers_of_a_cluster_by_the_file_of_its_scheduler(geoae, archive, tmp_path):
    with scheduler(tmp_path) as (address, _), worker(address, tmp_path):
        Path("s.json").write_text(json.dumps({"address": address}))
        code, out, _ = geoae(
            "batch", "in", "-o", "out", "--model", "identity", "--scheduler", "s.json"
        )
    assert (code, out[-1].partition(";")[0]) == (0, "2 scenes: 2 restored")


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--workers", "2", "--device", "cpu"]])
def test_ctrl_c_is_one_line_and_the_same_command_goes_on(archive, model, words):
    for name in "cdefgh":
        pixels = texture(1, 300, 300) + noise((1, 300, 300), 25)
        write(archive / f"{name}.tif", pixels.astype(np.uint16))
    given = ["batch", "in", "-o", "out", "--model", model, "--tile", "64", *words]
    command = [sys.executable, "-m", "geoae", *given]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_until(lambda: list(Path("out").glob("*.tif")), 120)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=60)
    said = "geoae: interrupted; what is finished is kept, run the same command again to go on"
    lines = [line for line in err.splitlines() if line and " scenes, " not in line]
    assert (process.returncode, out, lines) == (130, "", [said])
    done = len(list(Path("out").glob("*.tif")))
    assert done < 8
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"8 scenes: {8 - done} restored, {done} skipped" in again.stdout
