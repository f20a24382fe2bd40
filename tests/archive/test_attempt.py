import pickle

import numpy as np
import pytest
from rasterio._err import CPLE_AppDefinedError

from geoae.archive import attempt as archive_attempt
from geoae.archive.attempt import allow_output, attempt, restore_scene
from geoae.archive.triage import Outcome
from geoae.catalog.sources import SceneRef
from geoae.errors import BusyError, GeoaeError, InputError, ModelError, OutputError, ReadError
from geoae.models.restorer import Identity
from geoae.pipeline import distributed
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.preparation.prepare import load_restorer
from tests.support.rasters import noise, read, texture, write


@pytest.fixture
def scene(tmp_path):
    pixels = (texture(1, 64, 64) + noise((1, 64, 64), 5)).astype(np.uint16)
    return write(tmp_path / "s.tif", pixels)


def job_of(scene, **options):
    target = str(scene.parent / "out" / "s.tif")
    return Job(source=str(scene), target=target, **{"model": "identity"} | options)


def restore(job, retries=0, digest=None):
    options = resolve_options(job)
    digest = digest or load_restorer(ModelSpec.of(job, options)).digest
    return restore_scene(job, options=options, digest=digest, retries=retries)


def fails(error):
    def restore(job):
        raise error

    return restore


@pytest.fixture
def no_waits(monkeypatch):
    monkeypatch.setattr(archive_attempt, "FIRST_WAIT", 0)
    monkeypatch.setattr(archive_attempt, "LONGEST_WAIT", 0)


def test_a_scene_is_restored_into_a_folder_that_is_made(scene):
    outcome = restore(job_of(scene))
    assert (outcome.source, outcome.status) == (str(scene), "restored")
    assert outcome.megapixels == pytest.approx(64 * 64 / 1e6)
    assert (read(outcome.target) == read(scene)).all()
    again = restore(job_of(scene))
    assert (again.status, again.megapixels) == ("skipped", 0)


def test_what_its_user_should_know_comes_back(scene):
    restore(job_of(scene))
    output = scene.parent / "out" / "s.tif"
    again = Job(source=str(output), target=str(scene.parent / "again.tif"), model="identity")
    assert "is already restored" in " ".join(restore(again).warnings)


def test_an_older_output_is_replaced_and_another_file_is_not(scene):
    restore(job_of(scene))
    assert restore(job_of(scene, tile=64)).status == "restored"
    write(scene.parent / "out" / "s.tif", texture(1, 9, 9))
    with pytest.raises(OutputError, match="give --overwrite"):
        restore(job_of(scene))
    assert not allow_output(job_of(scene)).overwrite


@pytest.mark.parametrize(
    ("error", "tries"), [(ReadError("away"), 3), (BusyError("held"), 3), (InputError("bad"), 1)]
)
def test_only_what_may_pass_is_tried_again(scene, monkeypatch, no_waits, error, tries):
    tried = []

    def run(job, **given):
        tried.append(job)
        raise error

    monkeypatch.setattr(archive_attempt, "run", run)
    with pytest.raises(type(error), match=str(error)):
        restore(job_of(scene), retries=2)
    assert len(tried) == tries


def test_the_model_is_loaded_once(scene, monkeypatch):
    loaded = []

    def load(spec):
        loaded.append(spec)
        return Identity()

    distributed._cached_restorer.cache_clear()
    monkeypatch.setattr(distributed, "load_restorer", load)
    monkeypatch.setattr("geoae.pipeline.preparation.prepare.load_restorer", load)
    for _ in range(3):
        restore(job_of(scene, fresh=True, overwrite=True), digest=Identity().digest)
    assert len(loaded) == 1
    distributed._cached_restorer.cache_clear()


def test_a_model_of_that_name_that_is_another_one_is_refused(scene):
    with pytest.raises(ModelError, match="is another model here"):
        restore(job_of(scene), digest="of yesterday")


def test_an_error_travels_in_words(scene):
    found = SceneRef(str(scene), "s.tif")
    error = InputError("s.tif: is bad")
    error.__cause__ = CPLE_AppDefinedError(1, 1, "cannot be pickled")
    done = attempt(fails(error), found, job_of(scene))
    back = pickle.loads(pickle.dumps(done))
    assert (back.outcome.status, back.outcome.reason) == ("failed", "s.tif: is bad")
    assert (type(back.error), str(back.error)) == (InputError, "s.tif: is bad")
    assert back.stamp == found.stamp


@pytest.mark.parametrize(("error", "said"), [(ValueError("no"), "no"), (MemoryError(), "MemoryE")])
def test_a_fault_is_an_error_of_that_scene(scene, error, said):
    done = attempt(fails(error), SceneRef(str(scene), "s.tif"), job_of(scene))
    assert type(done.error) is GeoaeError
    assert done.outcome.reason.startswith(said)


def test_a_scene_that_another_run_restores_is_left_to_it(scene):
    done = attempt(fails(BusyError("held")), SceneRef(str(scene), "s.tif"), job_of(scene))
    assert (done.outcome.status, done.outcome.reason) == (
        "skipped",
        "another run is restoring it",
    )
    assert isinstance(done.error, BusyError)


def test_when_and_how_long(scene):
    def restored(job):
        return Outcome(job.source, str(job.target), "restored")

    done = attempt(restored, SceneRef(str(scene), "s.tif"), job_of(scene))
    assert done.error is None
    assert 0 <= done.outcome.seconds < 10
    assert done.outcome.began > 1e9
