import os
from pathlib import Path

import numpy as np
import pytest

from geoae.archive import triage as archive_triage
from geoae.archive.failures import Failures
from geoae.archive.triage import (
    Outcome,
    count_by_status,
    describe_counts,
    digest_options,
    has_too_many_failures,
    split_stable,
    triage,
)
from geoae.catalog.sources import SceneRef, scenes
from geoae.errors import ModelError
from geoae.pipeline.fingerprint import ALGORITHM, is_geoae_output
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.preparation import prepare
from geoae.pipeline.preparation.prepare import load_restorer
from geoae.pipeline.run import run
from tests.support.rasters import noise, texture, write

PLAIN = {"model": "identity"}


@pytest.fixture
def scene(tmp_path):
    (tmp_path / "in").mkdir()
    return write(
        tmp_path / "in" / "s.tif", (texture(1, 64, 64) + noise((1, 64, 64), 5)).astype(np.uint16)
    )


def job(scene, **options):
    return Job(source=str(scene), target=str(scene.parents[1] / "s_out.tif"), **PLAIN | options)


def is_done(asked):
    options = resolve_options(asked)
    return archive_triage.is_done(asked, options, load_restorer(ModelSpec.of(asked, options)))


def test_done_is_told_by_the_output(scene):
    asked = job(scene)
    assert not is_done(asked)
    run(asked)
    assert is_done(asked)
    assert not is_done(job(scene, sigma=3.0))
    assert not is_done(job(scene, nodata=0))
    assert not is_done(job(scene, model="res-cae"))


@pytest.mark.parametrize("share", [0.7, 0.99])
def test_an_output_that_was_cut_short_is_not_done(scene, tmp_path, share):
    run(job(scene))
    target = Path(job(scene).target)
    os.truncate(target, int(target.stat().st_size * share))
    assert is_geoae_output(str(target))
    assert not is_done(job(scene))


def test_a_changed_source_is_not_done(scene):
    run(job(scene))
    stat = scene.stat()
    os.utime(scene, (stat.st_atime, stat.st_mtime + 10))
    assert not is_done(job(scene))


def test_a_source_that_cannot_be_opened_is_not_done(scene):
    run(job(scene))
    scene.unlink()
    assert not is_done(job(scene))


def test_a_remote_source_is_told_by_its_pixels(scene):
    import rasterio

    inside = f"/vsisubfile/0_{scene.stat().st_size},{scene}"
    asked = Job(source=inside, target=str(scene.parents[1] / "r.tif"), **PLAIN)
    run(asked)
    assert is_done(asked)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, 5, 5] += 1
        dataset.write(pixels)
    assert not is_done(asked)


def test_whose_a_file_is(scene):
    assert not is_geoae_output(str(scene))
    assert not is_geoae_output(str(scene.with_name("missing.tif")))
    run(job(scene))
    assert is_geoae_output(str(job(scene).target))


def test_scenes_that_still_grow(scene, tmp_path):
    still = SceneRef(str(scene), "s.tif")
    growing = SceneRef(str(write(tmp_path / "in" / "g.tif", np.ones((1, 8, 8), np.uint8))), "g.tif")
    gone = SceneRef(str(tmp_path / "in" / "gone.tif"), "gone.tif")
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        with Path(growing.source).open("ab") as file:
            file.write(b"more")

    assert split_stable([still, growing, gone], 7, sleep) == ([still], [growing, gone])
    assert waited == [7]


def test_sorting_out_what_is_left(scene, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("t.tif", "u.tif"):
        write(scene.with_name(name), texture(1, 64, 64).astype(np.uint16))
    found = scenes(str(scene.parent))
    failures = Failures.below(str(out))
    first = triage(found, str(out), PLAIN, failures)
    assert [one.name for one in first.todo] == ["s.tif", "t.tif", "u.tif"]
    run(first.job_of(first.todo[0]))
    failures.note(found[1], first.options_digest, "is broken")
    second = triage(found, str(out), PLAIN, failures)
    assert [one.name for one in second.todo] == ["u.tif"]
    assert [(one.status, one.reason.split(" (")[0]) for one in second.outcomes] == [
        ("skipped", "already restored with this model and these options"),
        ("failed", "is broken"),
    ]
    assert len(triage(found, str(out), PLAIN | {"sigma": 2.0}, failures).todo) == 3


def test_a_model_that_is_not_there_fails_at_once(scene, tmp_path):
    with pytest.raises(ModelError):
        triage(
            scenes(str(scene.parent)),
            str(tmp_path),
            {"model": "missing"},
            Failures.below(str(tmp_path)),
        )


def test_counting():
    outcomes = [
        Outcome("s", "t", status)
        for status in ("restored", "failed", "skipped", "restored", "restored")
    ]
    assert count_by_status(outcomes) == {"failed": 1, "restored": 3, "skipped": 1}
    assert describe_counts(outcomes) == "1 failed, 3 restored, 1 skipped"
    assert describe_counts([]) == "no scenes"
    assert has_too_many_failures(outcomes, 0.2)
    assert not has_too_many_failures(outcomes, 0.25)
    known = [Outcome("s", "t", "failed", "broken (not tried again: unchanged)")]
    assert not has_too_many_failures(known, 0.0)


def test_an_order_to_begin_anew_is_never_done(scene):
    asked = job(scene)
    run(asked)
    assert not is_done(asked.model_copy(update={"fresh": True}))


def test_the_digest_of_options_is_told_without_scenes(tmp_path):
    left = triage([], str(tmp_path), PLAIN, Failures.below(str(tmp_path)))
    plain, restorer = left.plain, load_restorer(ModelSpec.of(left.plain, left.options))
    assert digest_options(plain, left.options, restorer) == left.options_digest
    other = plain.model_copy(update={"tile": 272})
    assert digest_options(other, left.options, restorer) != left.options_digest


def test_an_edited_recipe_tries_again_what_failed(scene, tmp_path):
    recipe = tmp_path / "r.toml"
    orders = []
    for band in (5, 1):
        recipe.write_text(f"bands = [{band}]\n")
        orders.append(
            triage(
                [], str(tmp_path), {"recipe": str(recipe), **PLAIN}, Failures.below(str(tmp_path))
            ).options_digest
        )
    assert orders[0] != orders[1]


def test_a_new_option_that_nobody_uses_forgets_no_failure(tmp_path, monkeypatch):
    def noted(**options):
        return triage(
            [], str(tmp_path), PLAIN | options, Failures.below(str(tmp_path))
        ).options_digest

    before = noted()

    class LaterJob(archive_triage.Job):
        novelty: float | None = None

    class LaterRecipe(prepare.Recipe):
        novelty: float | None = None

    monkeypatch.setattr(archive_triage, "Job", LaterJob)
    monkeypatch.setattr(prepare, "Recipe", LaterRecipe)
    assert noted() == before
    assert noted(novelty=2.0) != before


def test_a_raised_algorithm_tries_again_what_failed(tmp_path, monkeypatch):
    before = triage([], str(tmp_path), PLAIN, Failures.below(str(tmp_path))).options_digest
    monkeypatch.setattr(archive_triage, "ALGORITHM", ALGORITHM + 1)
    assert triage([], str(tmp_path), PLAIN, Failures.below(str(tmp_path))).options_digest != before


def test_a_recipe_is_read_once_for_an_archive(scene, tmp_path, monkeypatch):
    recipe, reads = tmp_path / "r.toml", []
    recipe.write_text("sigma = 5.0\n")
    for name in ("t.tif", "u.tif"):
        write(scene.with_name(name), texture(1, 64, 64).astype(np.uint16))
    options = PLAIN | {"recipe": str(recipe)}
    found = scenes(str(scene.parent))
    (tmp_path / "out").mkdir()
    for one in found:
        run(Job(source=one.source, target=f"{tmp_path}/out/{one.name}", **options))
    read = prepare.Recipe.read
    monkeypatch.setattr(prepare.Recipe, "read", lambda name: reads.append(name) or read(name))
    outcomes = triage(
        found, str(tmp_path / "out"), options, Failures.below(str(tmp_path / "out"))
    ).outcomes
    assert [one.status for one in outcomes] == ["skipped"] * 3
    assert reads == [str(recipe)]
