"""Digests by which an archive knows what is done: they may change only where the pixels do."""

from dataclasses import replace

import numpy as np
import pytest

from geoae.diagnosis.statistics import SceneStatistics
from geoae.models.restorer import Identity
from geoae.pipeline.fingerprint import ALGORITHM, request_digest
from geoae.pipeline.job import Job, resolve_options
from geoae.pipeline.preparation.prepare import plan_for
from geoae.pipeline.preparation.prepared import Prepared
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.tiles import Work
from geoae.raster.scene import Scene

# Pins hold for this ALGORITHM. A change of pixels raises ALGORITHM; then set this to the same
# number and copy the digests that the failing test shows, in the same commit, with a line in
# CHANGELOG.md that says what is restored again and how to keep what there is. Any other change that
# fails this test would restore every archive again for nothing: mend the change, not the pins.
PINNED_ALGORITHM = 6
PINS = {
    "defaults": {
        "order": "c9f76756a8ab8387350f21f832c9ee6d37603ec0c73f0611c2777ea78955fa77",
        "fingerprint": "898aa3450a979f0953d230b7c175b67662cc8a2c7ce1c3af750f5adee16c224b",
    },
    "many options": {
        "order": "13ed2e456db04b9507132bd50cd5ba1f9d8eb52d45e96ebbc6a5b26d5665ef00",
        "fingerprint": "2ed8fa6028ce16b306df52fa0677e0bd2896dc729f8831ec61ee329c56bafad5",
    },
}
MANY = {
    "model": "identity",
    "sigma": [3.5, 4.25],
    "tile": 256,
    "overlap": 64,
    "bands": [4, 1],
    "tta": True,
    "profile": "gtiff",
    "precision": "fp32",
    "batch_size": 4,
    "overwrite": True,
}


def prepared(job: Job, bands: tuple[int, ...]) -> Prepared[Scene]:
    """``job`` on a scene that is described by hand, so that no version of GDAL has a part in it."""
    options, restorer, count = resolve_options(job), Identity(tile=1024), len(bands)
    scene = Scene(
        source=job.source,
        height=1000,
        width=1300,
        count=4,
        dtype="uint16",
        bands=bands,
        copied={},
        nodata=(0,) * count,
        masked=True,
        driver="GTiff",
        crs="EPSG:32633",
        pixel_size=(10.0, 10.0),
        identity="1d" * 32,
        files=(),
        state="",
        mistagged=(),
        notes=(),
    )
    facts = SceneStatistics(
        mean=np.full(count, 1000.0),
        covariance=np.diag(np.full(count, 400.0)),
        sigma=np.linspace(3.5, 4.25, count),
        slope=np.linspace(0.0, 0.5, count),
        digest="fa" * 32,
        valid=1.0,
    )
    plan = plan_for(options, restorer, scene.height, scene.width, count)
    work = Work(
        plan, facts.scale(restorer.channels), restorer, scene.nodata, options.ramp or "smooth"
    )
    return Prepared(job, options, scene, facts, work, [])


@pytest.mark.parametrize(
    ("name", "options", "bands"), [("defaults", {}, (1, 2, 3, 4)), ("many options", MANY, (1, 4))]
)
def test_digests_are_those_that_outputs_hold(tmp_path, name, options, bands):
    assert ALGORITHM == PINNED_ALGORITHM, "pixels change: pin anew, as said above"
    recipe = tmp_path / "mine.toml"
    recipe.write_text('description = "any"\nramp = "linear"\n' if options else "")
    found = prepared(Job(source="scene.tif", recipe=str(recipe), **options), bands)
    assert {"order": found.request_digest, "fingerprint": found.fingerprint} == PINS[name]


def test_a_new_option_that_nobody_uses_changes_no_digest():
    class Later(Recipe):
        novelty: float | None = None

    found = prepared(Job(source="scene.tif"), (1, 2, 3, 4))

    def order(**more):
        options = Later.model_validate(found.options.model_dump() | more)
        return request_digest(options, found.scene, found.work.restorer, found.job.precision)

    assert order() == found.request_digest
    assert order(novelty=2.0) != found.request_digest


@pytest.mark.parametrize(
    "options",
    [
        {"tile": 256},
        {"overlap": 64},
        {"bands": [1]},
        {"sigma": 3.0},
        {"psd": "white"},
        {"steps": ["noise"]},
        {"speckle": "db"},
        {"sharpen": 0.2},
        {"tta": True},
        {"profile": "gtiff"},
    ],
)
def test_every_option_is_in_the_digest(options):
    bands = (1, 2, 3, 4)
    assert (
        prepared(Job(source="s.tif", **options), bands).request_digest
        != prepared(Job(source="s.tif"), bands).request_digest
    )


def test_a_spectrum_counts_by_its_content_and_where_the_model_takes_one(tmp_path):
    path, bands = tmp_path / "noise.npy", (1, 2)
    orders = []
    for density in (np.eye(9), np.ones((9, 9))):
        np.save(path, density)
        job = Job(source="s.tif", sigma=3.0, psd=str(path))
        orders.append(prepared(job, bands).request_digest)
    assert orders[0] != orders[1]

    def fingerprint(*, takes: bool, correlation: np.ndarray | None) -> str:
        found = prepared(Job(source="s.tif"), bands)
        facts = replace(found.facts, correlation=correlation)
        work = replace(found.work, restorer=Identity(tile=1024, takes_spectrum=takes))
        return replace(found, facts=facts, work=work).fingerprint

    flat, other = np.ones((2, 9, 9)), np.zeros((2, 9, 9))
    assert fingerprint(takes=True, correlation=flat) != fingerprint(takes=True, correlation=other)
    ignored = fingerprint(takes=False, correlation=flat)
    assert ignored == fingerprint(takes=True, correlation=None)
