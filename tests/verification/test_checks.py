"""Every check passes what keeps its promise, and fails what breaks it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from geoae.verification.bench import Bench
from geoae.verification.candidate import CallableRestorer, CallableSpec, subject_of
from geoae.verification.checks import CHECKS
from tests.verification.support import HALO, MACHINE, MULTIPLE, Told, bench, called, failed, smooth
from tests.verification.test_pipeline_checks import FAULTS


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


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("toy", TOYS)
def test_each_check_fails_only_what_breaks_its_promise(toy):
    function, broken = TOYS[toy]
    assert failed(called(function), set(CHECKS) - MACHINE) == broken


def test_identity_keeps_every_promise():
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        assert failed(bench(subject), set(CHECKS) - {"files"}) == set()


def test_every_check_has_something_that_fails_it():
    assert set().union(
        *(broken for _, broken in TOYS.values()), FAULTS, {"clean", "varying"}
    ) == set(CHECKS)


@pytest.mark.parametrize("multiple", [3, 32])
def test_any_grid_will_do(multiple):
    claims = CallableSpec(channels=3, multiple=multiple, halo=HALO)
    model = CallableRestorer.of(smooth, claims)
    with subject_of(smooth, "cpu", "fp32", claims.model_dump(exclude={"tensors"})) as subject:
        place = Bench.of(replace(subject, restorer=model), None)
    assert failed(place, set(CHECKS) - {"files"}) == set()


@dataclass(frozen=True)
class Spectral(Told):
    """Breaks its promises only where it is told a spectrum that is not white."""

    takes_spectrum: bool = True
    breaks: bool = True

    def __call__(self, pixels, sigma, shape=None):
        told = super().__call__(pixels, sigma)
        if shape is None or not self.breaks or (shape == 1).all():
            return told
        level = sigma.mean(axis=(2, 3)) if sigma.ndim == 4 else sigma
        mean = pixels.mean(axis=(0, 2, 3), keepdims=True)
        return (told + (level[:, :, None, None] + 0.001) * mean).astype(np.float32)


@pytest.mark.parametrize("breaks", [True, False])
def test_a_model_that_takes_a_spectrum_is_checked_with_one(breaks):
    model = Spectral(breaks=breaks)
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        place = bench(replace(subject, restorer=model, exact=model))
    broken = {"clean", "tiled", "varying", "shift", "halo", "company"}
    assert failed(place, set(CHECKS) - MACHINE) == (broken if breaks else set())
