import pytest

from geoae.errors import GeoaeError
from tests.flows.scenes import artifacts, crop, flow_runs
from tests.support.rasters import read

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server"), pytest.mark.timeout(600)]


@pytest.fixture
def archive(tmp_path):
    for index in range(5):
        crop(tmp_path / "archive" / f"{index % 2}" / f"s{index}.tif", row=20 * index)
    (tmp_path / "archive" / "bad.tif").write_bytes(b"bad")
    return tmp_path / "archive"


def restore(archive, **options):
    from flows.archive import restore_archive

    given = {
        "target": str(archive.parent / "out"),
        "model": "identity",
        "most_failed": 0.5,
        "return_state": True,
    }
    return restore_archive(**{"source": str(archive)} | given | options)


def written(archive):
    out = archive.parent / "out"
    return sorted(str(path.relative_to(out)) for path in out.rglob("*.tif"))


def test_an_archive_in_shards(archive):
    planned = restore(archive, dry_run=True)
    assert planned.result() == {"planned": 6}
    assert written(archive) == []
    some = restore(archive, limit=2, order="name")
    assert some.result() == {"restored": 2}
    assert written(archive) == ["0/s0.tif", "0/s2.tif"]
    shards = len(flow_runs("restore-shard"))
    rest = restore(archive, shard=3)
    assert rest.result() == {"failed": 1, "restored": 3, "skipped": 2}
    assert len(flow_runs("restore-shard")) - shards == 2
    assert written(archive) == ["0/s0.tif", "0/s2.tif", "0/s4.tif", "1/s1.tif", "1/s3.tif"]
    assert (read(archive / "1" / "s3.tif") == read(archive.parent / "out" / "1" / "s3.tif")).all()
    table = artifacts(rest.state_details.flow_run_id)["geoae-scenes"]
    assert table.description == "archive: 1 failed, 3 restored, 2 skipped"
    assert "cannot be opened as a raster" in table.data
    again = restore(archive)
    assert again.result() == {"failed": 1, "skipped": 5}


def test_too_many_failures_fail_the_run(archive):
    state = restore(archive, most_failed=0.1)
    error = state.result(raise_on_failure=False)
    assert isinstance(error, GeoaeError)
    assert "1 failed, 5 restored; more than 10% failed" in str(error)


def test_a_list_of_scenes(archive):
    state = restore(archive, source=[str(archive / "1" / "s1.tif"), str(archive / "0" / "s0.tif")])
    assert state.result() == {"restored": 2}
    assert written(archive) == ["0/s0.tif", "1/s1.tif"]


def test_a_scene_that_another_run_restores_is_left_to_it(archive, monkeypatch):
    from filelock import FileLock

    from flows import tasks

    monkeypatch.setattr(tasks, "restore", tasks.restore.with_options(retry_delay_seconds=0))
    held = archive.parent / "out" / ".s0.tif.geoae"
    held.mkdir(parents=True)
    with FileLock(held / "lock"):
        state = restore(archive, source=str(archive / "0"), most_failed=0.0)
    assert state.result() == {"restored": 2, "skipped": 1}
    assert (
        "another run is restoring it"
        in artifacts(state.state_details.flow_run_id)["geoae-scenes"].data
    )
    assert restore(archive, source=str(archive / "0")).result() == {"restored": 1, "skipped": 2}
