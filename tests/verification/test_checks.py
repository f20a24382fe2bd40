"""Every check passes what keeps its promise, and fails what breaks it."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from geoae.diagnosis.sampling import sample
from geoae.models.restorer import Identity
from geoae.pipeline import engine, tiles
from geoae.pipeline.run import run
from geoae.raster.memory import ArraySource
from geoae.tiling import blend
from geoae.verification import checks
from geoae.verification.bench import SYNTHETIC, Bench
from geoae.verification.candidate import CallableRestorer, CallableSpec, Subject, subject_of
from geoae.verification.checks import CHECKS, Finding

HALO, MULTIPLE = 3, 8
MACHINE = {"identity", "files", "weights"}


def smooth(pixels: np.ndarray, halo: int = HALO) -> np.ndarray:
    side = 2 * halo + 1
    return ndimage.uniform_filter(pixels, (0, 0, side, side), mode="constant")


def per_tile(pixels: np.ndarray) -> np.ndarray:
    """Stretches each tile about its own mean."""
    mean = pixels.mean(axis=(2, 3), keepdims=True)
    return mean + 0.9 * (smooth(pixels) - mean)


def striped(pixels: np.ndarray) -> np.ndarray:
    """Adds a pattern of twice the declared period."""
    return smooth(pixels) + 0.05 * np.cos(np.pi * np.arange(pixels.shape[3]) / MULTIPLE)


def random(pixels: np.ndarray) -> np.ndarray:
    return smooth(pixels) + np.random.default_rng().normal(0, 0.01, pixels.shape)


def far(pixels: np.ndarray) -> np.ndarray:
    """A trace of what lies farther away than declared: too faint to be a seam."""
    return smooth(pixels) + 4e-5 * (smooth(pixels, 9) - smooth(pixels))


def mixed(pixels: np.ndarray) -> np.ndarray:
    """A little of the other samples."""
    return smooth(pixels) + 0.01 * (pixels.mean(axis=0) - pixels)


# What breaks a promise, and all promises that are broken with it.
TOYS = {
    "good": (smooth, set()),
    "normalises each tile": (per_tile, {"tiled", "shift", "halo"}),
    "sees farther than it says": (
        lambda pixels: smooth(pixels, 3 * HALO),
        {"tiled", "shift", "halo"},
    ),
    "sees a trace from farther": (far, {"halo"}),
    "depends on the place": (striped, {"tiled", "shift"}),
    "brightens": (lambda pixels: smooth(pixels) + 0.01, {"bias"}),
    "is random": (random, {"tiled", "shift", "nodata", "halo", "determinism", "company"}),
    "mixes its samples": (mixed, {"company"}),
    "knows no number": (lambda pixels: pixels * np.nan, {"tiled", "shift", "bias", "company"}),
}


@cache
def pixels() -> np.ndarray:
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        return Bench.of(subject, None).pixels


def bench(subject: Subject) -> Bench:
    scale = subject.scale_of(sample(ArraySource(pixels()).read, *pixels().shape[1:]))
    return Bench(subject, pixels(), scale, SYNTHETIC)


def called(function) -> Bench:
    claims = {"channels": 1, "multiple": MULTIPLE, "halo": HALO}
    with subject_of(function, "cpu", "fp32", claims) as subject:
        return bench(subject)


def failed(place: Bench, names: set[str]) -> set[str]:
    found = {name: CHECKS[name](place) for name in names}
    return {name for name, finding in found.items() if finding and not finding.passed}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("toy", TOYS)
def test_each_check_fails_only_what_breaks_its_promise(toy):
    function, broken = TOYS[toy]
    assert failed(called(function), set(CHECKS) - MACHINE) == broken


def test_identity_keeps_every_promise():
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        assert failed(bench(subject), set(CHECKS) - {"files"}) == set()


@dataclass(frozen=True)
class Told(Identity):
    """Half of what a blur leaves over is noise: told that there is none, it may say so."""

    halo: int = HALO
    heeds: bool = True

    def __call__(self, pixels, sigma):
        told = (
            (sigma.reshape(*sigma.shape[:2], *(sigma.shape[2:] or (1, 1))) > 0) if self.heeds else 1
        )
        return (0.5 * told * (pixels - smooth(pixels))).astype(np.float32)


@pytest.mark.parametrize("heeds", [True, False])
def test_a_model_that_is_told_the_noise_must_heed_it(heeds):
    model = Told(heeds=heeds)
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        place = bench(replace(subject, restorer=model, exact=model))
    assert failed(place, set(CHECKS) - MACHINE) == (set() if heeds else {"clean"})
    assert CHECKS["clean"](called(smooth)) is None, "a callable cannot be told"


@dataclass(frozen=True)
class Levelled(Told):
    """Of a map of levels it takes the mean, which another tile would not have."""

    def __call__(self, pixels, sigma):
        level = (
            sigma.mean(axis=(2, 3), keepdims=True) if sigma.ndim == 4 else sigma[:, :, None, None]
        )
        return (level * (pixels - smooth(pixels))).astype(np.float32)


def test_a_map_of_levels_does_the_same_in_tiles_and_whole():
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        place = bench(replace(subject, restorer=Levelled(), exact=Levelled()))
    assert failed(place, set(CHECKS) - MACHINE) == {"varying"}
    assert CHECKS["varying"](called(smooth)) is None, "a callable cannot be told"


def off_by_one(pixels, residual, mask, nodata):
    return (pixels + np.ones((), pixels.dtype)).astype(pixels.dtype)


def as_they_are(pixels, mask, reach, rest):
    return np.nan_to_num(pixels)


def losing_a_pixel(job):
    run(job)
    with rasterio.open(job.target, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        pixels = dataset.read()
        pixels[0, 7, 8] += np.ones((), pixels.dtype)
        dataset.write(pixels)


# Where the pipeline is broken, and which check must say so.
FAULTS = {
    "identity": lambda patch: patch.setattr(engine, "subtract", off_by_one),
    "files": lambda patch: patch.setattr(checks, "run", losing_a_pixel),
    "weights": lambda patch: patch.setattr(
        blend, "weights", lambda axis, *_: np.ones(axis.tile, np.float32)
    ),
    "nodata": lambda patch: patch.setattr(tiles, "fill", as_they_are),
}


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_of_the_pipeline_shows(check, monkeypatch):
    place = called(smooth)
    assert CHECKS[check](place).passed
    FAULTS[check](monkeypatch)
    assert not CHECKS[check](place).passed


def test_every_check_has_something_that_fails_it():
    assert set().union(
        *(broken for _, broken in TOYS.values()), FAULTS, {"clean", "varying"}
    ) == set(CHECKS)


def test_a_figure_that_is_no_number_keeps_no_promise():
    finding = Finding(measured="", figure=float("nan"), limit=1, unit="px")
    assert not finding.passed
    assert '"NaN"' in finding.model_dump_json()


@pytest.mark.parametrize("multiple", [3, 32])
def test_any_grid_will_do(multiple):
    claims = CallableSpec(channels=3, multiple=multiple, halo=HALO)
    model = CallableRestorer.of(smooth, claims)
    with subject_of(smooth, "cpu", "fp32", claims.model_dump(exclude={"tensors"})) as subject:
        place = Bench.of(replace(subject, restorer=model), None)
    assert failed(place, set(CHECKS) - {"files"}) == set()
