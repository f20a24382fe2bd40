import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoae.errors import BusyError, InputError, OutputError, ReadError
from geoae.pipeline.job import Job
from geoae.pipeline.report import RestoreReport
from geoae.pipeline.run import run
from tests.flows.scenes import crop
from tests.support.rasters import noise, texture, write


@pytest.fixture
def scene(tmp_path) -> Path:
    pixels = (texture(1, 64, 72) + noise((1, 64, 72), 20)).astype(np.uint16)
    return write(tmp_path / "s.tif", pixels)


@pytest.fixture
def tasks(monkeypatch):
    """The tasks without a server: what they would show there is left out."""
    from flows import tasks

    monkeypatch.setattr(tasks, "get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(tasks, "progress", lambda name: lambda done: None)
    monkeypatch.setattr(tasks, "show_report", lambda report, written: None)
    return tasks


def test_an_impossible_nodata_value_fails_at_inspection(scene, tasks):
    with pytest.raises(InputError, match="correct --nodata"):
        tasks.inspect.fn("s.tif", Job(source=str(scene), nodata=0.5))


def test_inspection_says_what_the_scene_is(scene, tasks, caplog):
    with rasterio.open(scene, "r+") as dataset:
        dataset.set_band_description(1, "SCL")
    with caplog.at_level(logging.INFO, "test"):
        tasks.inspect.fn("s.tif", Job(source=str(scene)))
    assert caplog.messages == [
        "s.tif: GTiff, 64 x 72 px, 1 band of uint16, CRS EPSG:32633",
        "band 1 will be copied untouched: quality or class band",
    ]


def test_only_an_output_of_geoae_is_replaced(scene, tasks):
    target = scene.parent / "new folder" / "t.tif"
    job = Job(source=str(scene), target=str(target), model="identity")
    assert tasks.restore.fn("s.tif", job, None)["status"] == "restored"
    again = job.model_copy(update={"sigma": 3.0})
    assert tasks.restore.fn("s.tif", again, None)["status"] == "restored"
    foreign = write(target.with_name("u.tif"), texture(1, 9, 9))
    with pytest.raises(OutputError, match="give --overwrite"):
        tasks.restore.fn("s.tif", job.model_copy(update={"target": str(foreign)}), None)


def test_a_folder_that_cannot_be_made_is_one_line(scene, tasks):
    (scene.parent / "file").touch()
    job = Job(source=str(scene), target=str(scene.parent / "file" / "t.tif"), model="identity")
    with pytest.raises(OutputError, match=r"file: cannot be made \(.*another folder"):
        tasks.restore.fn("s.tif", job, None)


def test_verification_finds_an_output_of_another_run(scene, tasks):
    report = run(Job(source=str(scene), model="identity", profile="gtiff")).model_dump()
    tasks.verify.fn("s.tif", report)
    with rasterio.open(report["target"], "r+") as dataset:
        dataset.update_tags(ns="GEOAE", FINGERPRINT="another")
    with pytest.raises(OutputError, match="holds the fingerprint another, not this run's"):
        tasks.verify.fn("s.tif", report)


def test_a_skipped_run_does_not_replace_the_report_of_the_run(scene, tasks):
    report = run(Job(source=str(scene), model="identity"))
    beside = Path(f"{report.target}.json")
    skipped = report.model_copy(update={"status": "skipped"})
    for published, held in ((skipped, skipped), (report, report), (skipped, report)):
        tasks.publish.fn("s.tif", published.model_dump())
        assert RestoreReport.model_validate_json(beside.read_text()) == held
    assert not list(scene.parent.glob("*.part"))


@pytest.mark.parametrize(
    ("error", "again"),
    [(ReadError("x"), True), (BusyError("x"), True), (InputError("x"), False), (OSError(), False)],
)
def test_only_transient_errors_are_worth_a_retry(tasks, error, again):
    from prefect.states import Failed

    for task in (tasks.inspect, tasks.restore):
        assert task.retry_condition_fn(task, None, Failed(data=error)) is again


def test_no_task_is_answered_from_a_cache(tasks):
    """What is done is told by the output's fingerprint."""
    from prefect.cache_policies import NO_CACHE

    found = [getattr(tasks, name) for name in ("inspect", "restore", "verify", "publish")]
    assert all(task.cache_policy == NO_CACHE and not task.persist_result for task in found)


@pytest.mark.slow
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("error", "inside", "tries"),
    [
        (ReadError, False, 2),
        (BusyError, False, 2),
        (InputError, False, 1),
        (ReadError, True, 2),
        (BusyError, True, 1),
    ],
)
def test_only_what_may_pass_is_tried_again(tmp_path, monkeypatch, error, inside, tries):
    """A run inside another one does not wait for a third that restores the scene."""
    from prefect import flow

    from flows import tasks
    from flows.restore import restore_scene

    tried = []

    def fail_once(*given):
        tried.append(1)
        if len(tried) == 1:
            raise error("it did not work")
        return run(*given)

    monkeypatch.setattr(tasks, "run", fail_once)
    monkeypatch.setattr(tasks, "restore", tasks.restore.with_options(retry_delay_seconds=0))
    given = {"source": str(crop(tmp_path / "s.tif")), "model": "identity", "return_state": True}

    @flow
    def archive():
        return restore_scene(**given).type

    state = archive(return_state=True) if inside else restore_scene(**given)
    assert len(tried) == tries
    ended = state.result() if inside else state.type
    assert (ended.value == "COMPLETED") == (tries == 2)


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_an_output_that_another_run_has_written_is_told(tmp_path, monkeypatch):
    from flows import tasks
    from flows.restore import restore_scene

    def overtaken(*given):
        report = run(*given)
        with rasterio.open(report.target, "r+") as dataset:
            dataset.update_tags(ns="GEOAE", FINGERPRINT="another")
        return report

    monkeypatch.setattr(tasks, "run", overtaken)
    options = {"model": "identity", "profile": "gtiff", "return_state": True}
    state = restore_scene(
        source=str(crop(tmp_path / "s.tif")), target=str(tmp_path / "t.tif"), **options
    )
    assert "holds the fingerprint another, not this run's" in state.message
