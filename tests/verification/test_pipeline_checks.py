import numpy as np
import pytest
import rasterio

from geoae.pipeline import tiles
from geoae.pipeline.run import run
from geoae.tiling import blend
from geoae.verification import pipeline_checks
from geoae.verification.checks import CHECKS
from tests.verification.support import called, smooth


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
    "identity": lambda patch: patch.setattr(tiles, "subtract", off_by_one),
    "files": lambda patch: patch.setattr(pipeline_checks, "run", losing_a_pixel),
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
