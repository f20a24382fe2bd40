import json
import logging
import time

import numpy as np
import pytest
import rasterio

from geoae.archive.failures import Failures
from geoae.catalog.sources import SceneRef
from geoae.errors import GeoaeError, InputError, RejectedError
from geoae.pipeline import run as pipeline_run
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from tests.flows.scenes import artifacts, crop, task_runs
from tests.support.rasters import read

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server")]


@pytest.fixture(scope="module")
def restored(server, tmp_path_factory):
    """A real noisy scene, restored by the flow: its final state and its target."""
    from flows.restore import restore_scene

    folder = tmp_path_factory.mktemp("restored")
    source = crop(folder / "scene.tif", side=200)
    target = folder / "new folder" / "restored.tif"
    return restore_scene(source=str(source), target=str(target), return_state=True), source, target


def test_the_output_is_that_of_the_command(restored, tmp_path):
    state, source, target = restored
    assert state.is_completed()
    run(Job(source=str(source), target=str(tmp_path / "by_hand.tif")))
    assert (read(target) == read(tmp_path / "by_hand.tif")).all()
    with rasterio.open(target) as dataset:
        assert dataset.tags(ns="GEOAE")["MODEL"] == "res-cae"


def test_four_tasks_and_a_name_that_says_which_scene(restored):
    from prefect.client.orchestration import get_client

    run_id = restored[0].state_details.flow_run_id
    found = task_runs(run_id)
    assert [one.name for one in found] == [
        f"{step} scene.tif" for step in ("inspect", "publish", "restore", "verify")
    ]
    assert all(one.state.is_completed() for one in found)
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run_id).name == "restore scene.tif"


def test_artifacts_show_what_was_done(restored):
    state, _, target = restored
    found = artifacts(state.state_details.flow_run_id)
    assert set(found) == {
        "geoae-progress",
        "geoae-picture",
        "geoae-figures",
        "geoae-output",
        "geoae-report",
    }
    assert found["geoae-progress"].data == 100
    assert found["geoae-picture"].data.startswith("data:image/jpeg;base64,")
    table = json.loads(found["geoae-figures"].data)
    assert [row["band"] for row in table] == [1, 2, 3, 4, 5, 6]
    assert set(table[0]) == {
        "band",
        "noise before (DN)",
        "noise after (DN)",
        "bias (DN)",
        "seconds",
        "Mpx/s",
        "model",
    }
    assert target.as_uri() in found["geoae-output"].data
    assert json.loads((target.parent / "restored.tif.json").read_text())["status"] == "restored"


def test_logs_of_geoae_are_those_of_the_run(restored):
    import time

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    run_id = restored[0].state_details.flow_run_id
    time.sleep(3)  # sent in batches
    with get_client(sync_client=True) as client:
        messages = [
            log.message
            for log in client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
        ]
    assert any("200 x 200 px, 6 bands of uint8" in message for message in messages)
    assert any("noise" in message and "model res-cae" in message for message in messages)


def test_again_there_is_nothing_to_do(restored):
    from flows.restore import restore_scene

    _, source, target = restored
    before = target.stat().st_mtime_ns
    report = restore_scene(source=str(source), target=str(target))
    assert report["status"] == "skipped"
    assert target.stat().st_mtime_ns == before
    assert json.loads((target.parent / "restored.tif.json").read_text())["status"] == "restored"


def test_an_older_output_is_replaced_and_another_file_is_not(tmp_path):
    from flows.restore import restore_scene

    source, target = crop(tmp_path / "s.tif"), tmp_path / "t.tif"
    restore_scene(source=str(source), target=str(target), model="identity")
    assert (
        restore_scene(source=str(source), target=str(target), model="identity", sigma=3.0)["status"]
        == "restored"
    )
    foreign = crop(tmp_path / "foreign.tif", row=100)
    before = foreign.read_bytes()
    state = restore_scene(
        source=str(source), target=str(foreign), model="identity", return_state=True
    )
    assert "give --overwrite" in str(state.result(raise_on_failure=False))
    assert foreign.read_bytes() == before


def test_a_broken_scene_fails_at_once_with_a_reason(tmp_path):
    from flows.restore import restore_scene

    (tmp_path / "broken.tif").write_bytes(b"no raster")
    state = restore_scene(source=str(tmp_path / "broken.tif"), return_state=True)
    error = state.result(raise_on_failure=False)
    assert state.is_failed()
    assert isinstance(error, InputError)
    assert "check the path and the format" in state.message
    assert len(task_runs(state.state_details.flow_run_id)) == 1


def test_an_output_that_differs_never_gets_its_name(tmp_path, monkeypatch):
    from flows.restore import restore_scene
    from geoae.pipeline import publication

    assemble = publication.assemble

    def spoiled(source, parts, bands, target, **more):
        assemble(source, parts, bands, target, **more)
        with rasterio.open(target, "r+") as dataset:
            dataset.write(np.full((6, 64, 64), 200, np.uint8))

    monkeypatch.setattr(publication, "assemble", spoiled)
    target = tmp_path / "t.tif"
    options = {"model": "identity", "profile": "gtiff", "return_state": True}
    state = restore_scene(source=str(crop(tmp_path / "s.tif")), target=str(target), **options)
    assert isinstance(state.result(raise_on_failure=False), RejectedError)
    assert "moved by" in state.message or "valid sampled pixels" in state.message
    assert not target.exists()
    assert (tmp_path / "t.tif.rejected").exists()
    steps = {one.name: one.state.name for one in task_runs(state.state_details.flow_run_id)}
    assert steps == {"inspect s.tif": "Completed", "restore s.tif": "Failed"}, (
        "it is not tried again"
    )


def test_a_cluster_gives_the_same_pixels(tmp_path):
    from distributed import Client, LocalCluster

    from flows.restore import restore_scene
    from tests.flows.test_kill import OPTIONS, SCENE

    source = crop(tmp_path / "s.tif", side=400, source=SCENE)
    alone = run(Job(source=str(source), target=str(tmp_path / "alone.tif"), **OPTIONS))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        report = restore_scene(
            source=str(source),
            target=str(tmp_path / "spread.tif"),
            scheduler=cluster.scheduler_address,
            **OPTIONS,
        )
        with Client(cluster) as client:
            executed = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert sum(executed.values()) >= 2
    assert report["tiles_computed"] == alone.tiles_computed > 4
    assert (read(report["target"]) == read(alone.target)).all()
    assert (read(alone.target) != read(source)).mean() > 0.5


@pytest.mark.timeout(300, method="thread")  # its own alarm would take Prefect's place
def test_a_scene_cut_by_its_time_limit_is_resumed(tmp_path, monkeypatch):
    from flows.restore import restore_scene
    from tests.flows.test_kill import OPTIONS, SCENE

    source, target = crop(tmp_path / "s.tif", side=900, source=SCENE), tmp_path / "restored.tif"
    run(Job(source=str(crop(tmp_path / "small.tif")), **OPTIONS))  # the first one loads torch
    by_hand = run(Job(source=str(source), target=str(tmp_path / "by_hand.tif"), **OPTIONS))
    limit = by_hand.seconds + 3

    def restore_slowly(work, read, slabs, sink, on_tile):
        """Too slow for the limit, however fast the machine has become meanwhile."""

        def wait(computed: bool) -> None:
            on_tile(computed)
            time.sleep(limit / 20)

        restore_slabs(work, read, slabs, sink, wait)

    given = {"source": str(source), "target": str(target)} | OPTIONS
    with monkeypatch.context() as patch:
        patch.setattr(pipeline_run, "restore_slabs", restore_slowly)
        state = restore_scene(**given, timeout=limit, return_state=True)
    assert state.is_failed()
    error = state.result(raise_on_failure=False)
    assert isinstance(error, GeoaeError)
    assert f"{source}: was not restored within {limit:.0f} s; what is finished is kept" in str(
        error
    )
    steps = {one.name: one for one in task_runs(state.state_details.flow_run_id)}
    assert set(steps) == {"inspect s.tif", "restore s.tif"}
    assert steps["restore s.tif"].state.name == "TimedOut"
    assert steps["restore s.tif"].total_run_time.total_seconds() < limit + 10
    assert not target.exists()
    parts = len(list(tmp_path.glob(".restored.tif.geoae/slab-*.*.tif")))
    assert parts >= 1
    assert restore_scene(**given)["slabs_resumed"] == parts
    assert (read(target) == read(by_hand.target)).all()


def test_a_run_that_had_completed_when_its_process_was_lost_counts_as_restored(
    tmp_path, monkeypatch
):
    """Prefect starts such a run not again, and its result was in the memory of that process."""
    from prefect.exceptions import MissingResult

    from flows import restore

    def completed(**options):
        raise MissingResult("The result was not persisted and is no longer available.")

    monkeypatch.setattr(restore, "restore_scene", completed)
    monkeypatch.setattr(restore, "get_run_logger", lambda: logging.getLogger("flows"))
    job = Job(source=str(tmp_path / "s.tif"), target=str(tmp_path / "t.tif"), model="identity")
    todo = [(SceneRef(job.source, "t.tif"), job)]
    (outcome,) = restore.restore_scenes(todo, Failures.below(str(tmp_path)), "digest", 60.0, None)
    assert (outcome.source, outcome.status, outcome.reason) == (job.source, "restored", "")
