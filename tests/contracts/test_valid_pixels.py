"""Whatever is valid of a scene is restored with the noise that it has, or a line says why not."""

import re
import warnings

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

import geoae
from geoae.errors import InputError
from geoae.pipeline.report import RestoreReport
from tests.support.rasters import read, write

# Of each type the darkest and brightest ground, and the noise.
TYPES = {
    "uint8": (60, 160, 6),
    "uint16": (500, 1500, 40),
    "int16": (-800, 200, 40),
    "float32": (0.1, 0.3, 0.01),
    "float64": (500, 1500, 40),
}
KINDS = ["full", "scattered", "lines", "strip", "disc", "clouds", "half", "none"]
FILL = {"uint8": 0, "uint16": 0, "int16": -9999, "float32": np.nan, "float64": -9999}
LARGEST_ERROR = 0.15
REFUSED = "too few valid pixels lie side by side to estimate the noise; give --sigma"


def draw_mask(rng: np.random.Generator, kind: str, height: int, width: int) -> np.ndarray:
    """Which pixels ``(row, col)`` of a band are valid."""
    mask = np.ones((height, width), bool)
    rows, cols = np.ogrid[:height, :width]
    if kind == "scattered":
        mask = rng.random(mask.shape) > rng.uniform(0.01, 0.3)
    elif kind == "lines":
        mask[:: rng.integers(2, 12)] = False
    elif kind == "strip":
        first = rng.integers(width)
        mask[:, :first] = mask[:, first + rng.integers(1, 30) :] = False
    elif kind == "disc":
        radius = rng.uniform(1, max(height, width) / 2)
        mask = (rows - rng.integers(height)) ** 2 + (cols - rng.integers(width)) ** 2 < radius**2
    elif kind == "clouds":
        clouds = ndimage.gaussian_filter(rng.normal(size=mask.shape), rng.uniform(2, 10))
        mask = clouds > np.quantile(clouds, rng.uniform(0.1, 0.9))
    elif kind in ("half", "none"):
        mask[:, : width // 2 if kind == "half" else width] = False
    return mask


def draw_scene(seed: int, dtype: str, bands: int, height: int, width: int):
    """Pixels ``(band, row, col)``, what they are without noise, the noise of each band, masks."""
    rng = np.random.default_rng(seed)
    low, high, sigma = TYPES[dtype]
    shape = (1 if rng.random() < 0.5 else bands, height, width)
    hills = ndimage.gaussian_filter(rng.normal(size=shape), (0, 6, 6))
    clean = low + (high - low) * (hills - hills.min()) / np.ptp(hills) * np.ones((bands, 1, 1))
    sigmas = sigma * rng.uniform(0.6, 1.6, bands)
    pixels = clean + sigmas[:, None, None] * rng.normal(size=clean.shape)
    if np.dtype(dtype).kind in "iu":
        pixels = np.rint(pixels)
        sigmas = np.hypot(sigmas, 1 / np.sqrt(12))
    kinds = rng.choice(KINDS, bands) if rng.random() < 0.6 else [rng.choice(KINDS[:-1])] * bands
    masks = {kind: draw_mask(rng, kind, height, width) for kind in dict.fromkeys(kinds)}
    mask = np.stack([masks[kind] for kind in kinds])
    return np.where(mask, pixels, FILL[dtype]).astype(dtype), clean, sigmas, mask


def named(lines: list[str]) -> set[int]:
    """Numbers of the bands that the ends of ``lines`` name."""
    found: set[int] = set()
    for line in lines:
        for listed in re.findall(r"in bands? ([\d, -]+);", line):
            for run in listed.split(","):
                first, *last = map(int, run.split("-"))
                found |= set(range(first, (last or [first])[0] + 1))
    return found


def restore(source, target) -> RestoreReport | str:
    """The report, or why nothing was restored."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return geoae.restore(source, target, overwrite=True, precision="fp32")
    except InputError as error:
        return str(error)


def check(folder, seed: int, dtype: str, bands: int, height: int, width: int) -> None:
    pixels, clean, sigmas, mask = draw_scene(seed, dtype, bands, height, width)
    source = write(folder / "in.tif", pixels, nodata=FILL[dtype])
    with rasterio.open(source) as dataset:
        assert (dataset.read_masks() != 0).sum() == mask.sum()
    report = restore(source, folder / "out.tif")
    if isinstance(report, str):
        assert f"{source}: {REFUSED}" in report
        return
    restored = read(folder / "out.tif")
    assert pixels[~mask].tobytes() == restored[~mask].tobytes()
    told = named(report.warnings)
    for band, before in zip(report.bands, report.sigma_before, strict=True):
        index = band - 1
        valid = mask[index]
        if band in told:
            assert pixels[index].tobytes() == restored[index].tobytes()
            continue
        assert before == pytest.approx(sigmas[index], rel=LARGEST_ERROR), f"band {band}"
        left = (restored[index] - clean[index])[valid]
        # Where a band shares few pixels with the others, up to a tenth may be added.
        assert np.sqrt(np.mean(left**2)) < 1.2 * sigmas[index], f"band {band}"
    assert set(report.copied) <= told
    assert set(report.copied) == {1 + int(band) for band in np.flatnonzero(~mask.any(axis=(1, 2)))}


SCENES = {
    "seed": st.integers(0, 10**6),
    "dtype": st.sampled_from(list(TYPES)),
    "bands": st.sampled_from([1, 2, 3, 4, 5, 12]),
    "height": st.integers(5, 150),
    "width": st.integers(5, 150),
}
FOLDER = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=12, suppress_health_check=FOLDER)
@given(**SCENES)
def test_what_is_valid_is_restored_or_named(tmp_path, seed, dtype, bands, height, width):
    check(tmp_path, seed, dtype, bands, height, width)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=FOLDER)
@given(**SCENES)
def test_more_of_what_is_valid(tmp_path, seed, dtype, bands, height, width):
    check(tmp_path, seed, dtype, bands, height, width)


def test_the_bands_of_a_line_are_read():
    assert named(["x: no valid pixel in bands 1-3, 7; copied", "y in band 9; unchanged"]) == {
        *(1, 2, 3, 7, 9)
    }
