"""Scenes of a batch, one after the other."""

import pytest

from geoae.archive import failures as archive_failures
from geoae.archive.batch import jobs_of, restore_each, restore_jobs
from geoae.archive.failures import Failures
from geoae.archive.triage import Outcome
from geoae.catalog.sources import scenes
from geoae.errors import (
    BusyError,
    DeviceError,
    GeoaeError,
    InputError,
    ReadError,
    RecipeError,
    RejectedError,
)
from geoae.pipeline.job import Job, target_of

ORDER = "digest of model and options"


@pytest.fixture
def todo(tmp_path):
    """Three scenes and their jobs."""
    for name in ("a.tif", "b.tif", "c.vrt"):
        (tmp_path / name).write_bytes(b"scene")
    return [(one, Job(source=one.source, target=one.name)) for one in scenes(str(tmp_path))]


@pytest.fixture
def failures(tmp_path):
    return Failures.below(str(tmp_path / "out"))


def restore_but(errors):
    """A function that restores all but the scenes named in ``errors``."""

    def restore(job):
        if job.target in errors:
            raise errors[job.target]
        return Outcome(job.source, job.target, "restored")

    return restore


def test_one_that_fails_does_not_stop_the_others(todo, failures):
    told = []
    restore = restore_but({"a.tif": ValueError("all is wrong")})
    outcomes = restore_each(
        todo, failures, ORDER, restore, lambda done: told.append((done.found, done.outcome))
    )
    assert [(one.target, one.status, one.reason) for one in outcomes] == [
        ("a.tif", "failed", "all is wrong"),
        ("b.tif", "restored", ""),
        ("c.tif", "restored", ""),
    ]
    assert told == [(found, one) for (found, _), one in zip(todo, outcomes, strict=True)]
    assert all(one.began > 0 for one in outcomes)


@pytest.mark.parametrize(
    ("target", "error", "noted"),
    [
        ("a.tif", InputError("is no scene"), "for good"),
        ("a.tif", RejectedError("differs"), "for good"),
        ("a.tif", ReadError("does not read"), "for a time"),
        ("c.tif", InputError("refers to what is no scene"), "for a time"),
        ("a.tif", DeviceError("no GPU"), "not at all"),
        ("a.tif", ValueError("a fault of geoae"), "not at all"),
    ],
)
def test_what_is_wrong_with_a_scene_itself_is_noted(todo, failures, target, error, noted):
    outcomes = restore_each(todo, failures, ORDER, restore_but({target: error}))
    assert [one.status for one in outcomes].count("failed") == 1
    known = {found.name: failures.find(found, ORDER) for found, _ in todo}
    failure = known.pop(target)
    assert set(known.values()) == {None}
    if noted == "not at all":
        assert failure is None
    else:
        assert failure.reason == str(error)
        assert (failure.until is None) == (noted == "for good")


def test_what_is_put_off_is_tried_again_in_time(todo, failures, monkeypatch):
    restore_each(todo, failures, ORDER, restore_but({"a.tif": ReadError("does not read")}))
    found = todo[0][0]
    until = failures.find(found, ORDER).until
    monkeypatch.setattr(archive_failures.time, "time", lambda: until - 1)
    assert failures.find(found, ORDER)
    monkeypatch.setattr(archive_failures.time, "time", lambda: until + 1)
    assert failures.find(found, ORDER) is None


def test_a_scene_of_another_run_is_left_to_it(todo, failures):
    outcomes = restore_each(todo, failures, ORDER, restore_but({"b.tif": BusyError("held")}))
    assert [one.status for one in outcomes] == ["restored", "skipped", "restored"]
    assert outcomes[1].reason == "another run is restoring it"
    assert failures.find(todo[1][0], ORDER) is None


def test_what_is_restored_is_forgotten_as_a_failure(todo, failures):
    restore_each(todo, failures, ORDER, restore_but({"a.tif": InputError("is no scene")}))
    assert failures.find(todo[0][0], ORDER)
    restore_each(todo, failures, ORDER, restore_but({}))
    assert failures.find(todo[0][0], ORDER) is None


def test_an_error_without_words_is_named(todo, failures):
    outcomes = restore_each(todo, failures, ORDER, restore_but({"a.tif": AssertionError()}))
    assert outcomes[0].reason == "AssertionError"


def test_each_of_several_scenes_has_an_output_of_its_own():
    jobs = jobs_of(["a/1.tif", "b/2.jp2"], "out/", model="identity")
    assert [target_of(job) for job in jobs] == ["out/1_restored.tif", "out/2_restored.tif"]
    assert [target_of(job) for job in jobs_of(["a/1.tif", "b/1.tif"], None)] == [
        "a/1_restored.tif",
        "b/1_restored.tif",
    ]


@pytest.mark.parametrize(
    ("sources", "target", "said"),
    [
        (["a/1.tif", "b/1.tif"], "out/", "a/1.tif and b/1.tif: would both be written to"),
        (["a.tif", "b.tif", "a.tif"], None, "a.tif and a.tif: would both be written to"),
        (["x.tif", "./x.jp2"], None, "x.tif and ./x.jp2: would both be written to"),
        (["a.tif", "a_restored.tif"], None, "a_restored.tif: is the output of a.tif and a scene"),
        ([".", "a.tif"], None, ".: names no file"),
        (["a.tif", "b.tif"], "out.tif", "out.tif: is one file for 2 scenes; name a folder"),
    ],
)
def test_two_scenes_never_share_an_output(sources, target, said):
    with pytest.raises(RecipeError, match=said):
        jobs_of(sources, target)


def test_errors_of_scenes_are_told_and_the_rest_is_restored():
    restored, told = [], []

    def restore(job):
        if job.source == "b.tif":
            raise InputError("b.tif: is no scene")
        if job.source == "d.tif":
            raise MemoryError
        restored.append(job.source)

    with pytest.raises(GeoaeError, match="2 of 4 scenes failed"):
        restore_jobs(jobs_of(["a.tif", "b.tif", "d.tif", "c.tif"], None), restore, told.append)
    assert (restored, [str(error) for error in told]) == (
        ["a.tif", "c.tif"],
        ["b.tif: is no scene", ""],
    )
