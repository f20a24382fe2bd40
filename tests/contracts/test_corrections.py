"""Corrections in a whole restoration: one result by every way, nothing where nothing is wrong."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray
from distributed import Client, LocalCluster

import geoae
import geoae.accessor
from geoae.errors import RecipeError
from geoae.pipeline.job import Job
from geoae.pipeline.preparation.prepare import prepare
from geoae.raster.tags import read_tags
from tests.corrections.support import scene, stripe
from tests.support.rasters import read, write

SHAPE = (3, 420, 330)
LOST = {0: 77, 2: 203}
ALONE = {"model": "identity", "steps": "lines,pixels,stripes"}


@lru_cache(maxsize=1)
def pixels() -> tuple[np.ndarray, np.ndarray]:
    """A scene without faults and with them, as uint16."""
    clean = np.rint(scene(SHAPE))
    damaged = stripe(clean, 20.0, angle=5.0, axis="column")
    for band, row in LOST.items():
        damaged[band, row] = 0
    damaged[1][np.random.default_rng(3).random(SHAPE[1:]) < 1e-3] = 0
    damaged[:, 100:140, 60:120] = 65535
    return clean, np.clip(np.rint(damaged), 0, 65535).astype(np.uint16)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    return write(tmp_path / "in.tif", pixels()[1], nodata=65535)


def error(found: np.ndarray) -> float:
    clean, given = pixels()
    valid = given != 65535
    return float(np.sqrt(np.mean((found[valid] - clean[valid]) ** 2)))


def test_faults_are_corrected_and_told(damaged, tmp_path):
    report = geoae.restore(damaged, tmp_path / "out.tif", **ALONE)
    assert error(read(tmp_path / "out.tif")) < 0.3 * error(pixels()[1])
    assert [line.split()[0] for line in report.steps] == ["lost", "stripes"]
    tags = read_tags(str(tmp_path / "out.tif"))
    assert tags["CORRECTIONS"] == "; ".join(report.steps)
    assert np.array_equal(read(tmp_path / "out.tif")[pixels()[1] == 65535], [65535] * 3 * 40 * 60)


def test_tiles_give_the_bits_of_the_whole(damaged, tmp_path, model):
    for name, options in (("alone", ALONE), ("network", {"model": model, "precision": "fp32"})):
        whole, tiled = tmp_path / f"{name}-whole.tif", tmp_path / f"{name}-tiled.tif"
        geoae.restore(damaged, whole, **options, tile=1024)
        geoae.restore(damaged, tiled, **options, tile=128)
        difference = np.abs(read(whole).astype(int) - read(tiled))
        assert difference.max() <= (0 if name == "alone" else 1)
        assert difference.mean() < 1e-3


@pytest.mark.parametrize("kind", ["alone", "network"])
def test_a_lazy_array_gives_the_same_pixels(damaged, tmp_path, model, kind):
    options = ALONE if kind == "alone" else {"model": model, "precision": "fp32"}
    geoae.restore(damaged, tmp_path / "out.tif", **options, tile=128)
    lazily = rioxarray.open_rasterio(damaged, chunks={"y": 100, "x": 90})
    found = lazily.geoae.restore(**options, tile=128).compute(scheduler="synchronous")
    assert np.array_equal(found.values, read(tmp_path / "out.tif"))


@pytest.mark.slow
def test_a_cluster_gives_the_same_pixels(damaged, tmp_path):
    geoae.restore(damaged, tmp_path / "alone.tif", **ALONE, tile=128)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        geoae.restore(damaged, tmp_path / "spread.tif", **ALONE, tile=128)
    assert np.array_equal(read(tmp_path / "spread.tif"), read(tmp_path / "alone.tif"))


@pytest.mark.parametrize("kind", ["alone", "network"])
def test_sharpening_gives_the_same_pixels_by_every_way(damaged, tmp_path, model, kind):
    options = ALONE if kind == "alone" else {"model": model, "precision": "fp32"}
    plain, whole, tiled = (tmp_path / f"{name}.tif" for name in ("plain", "whole", "tiled"))
    geoae.restore(damaged, plain, **options, tile=128)
    report = geoae.restore(damaged, whole, **options, sharpen=0.2, tile=1024)
    geoae.restore(damaged, tiled, **options, sharpen=0.2, tile=128)
    difference = np.abs(read(whole).astype(int) - read(tiled))
    assert difference.max() <= (0 if kind == "alone" else 1)
    assert difference.mean() < 1e-3
    lazily = rioxarray.open_rasterio(damaged, chunks={"y": 100, "x": 90})
    found = lazily.geoae.restore(**options, sharpen=0.2, tile=128)
    assert np.array_equal(found.compute(scheduler="synchronous").values, read(tiled))
    nodata, changed = pixels()[1] == 65535, read(tiled) != read(plain)
    assert np.array_equal(read(tiled)[nodata], read(damaged)[nodata])
    assert changed[~nodata].mean() > 0.5
    assert report.mtf == 0.2
    if kind == "alone":  # the network of tests is random
        assert np.abs(report.bias).max() < 0.5
    (line,) = [line for line in report.steps if line.startswith("sharpening")]
    tags = read_tags(str(tiled))
    assert (tags["MTF"], line in tags["CORRECTIONS"]) == ("0.2", True)


def test_sharpening_does_not_depend_on_the_steps_and_costs_no_other_pixel(tmp_path, model):
    sound = write(tmp_path / "in.tif", pixels()[0].astype(np.uint16))
    for steps in ("auto", "noise"):
        geoae.restore(sound, tmp_path / f"{steps}.tif", model=model, steps=steps, sharpen=0.2)
    assert np.array_equal(read(tmp_path / "auto.tif"), read(tmp_path / "noise.tif"))
    report = geoae.restore(sound, tmp_path / "alone.tif", steps="none", sharpen=0.2)
    assert "which stays, since no network runs" in report.steps[-1]


def test_saturated_scenes_are_sharpened_and_clipped(tmp_path):
    bright = np.clip((scene((1, 200, 200)) - 900) * 1.2, 0, 255)
    assert (bright == 255).mean() > 0.05
    source = write(tmp_path / "in.tif", np.rint(bright).astype(np.uint8))
    report = geoae.restore(source, tmp_path / "out.tif", model="identity", sharpen=0.15)
    assert np.abs(report.bias).max() < 2
    assert (read(tmp_path / "out.tif") == 255).any()


@pytest.mark.parametrize("steps", ["none", "lines,pixels"])
def test_only_chosen_steps_are_done(damaged, tmp_path, steps):
    report = geoae.restore(damaged, tmp_path / "out.tif", steps=steps)
    changed = read(tmp_path / "out.tif") != pixels()[1]
    assert report.model == "identity"
    assert len(report.steps) == (0 if steps == "none" else 1)
    if steps == "none":
        assert not changed.any()
    else:
        assert changed[0, 77].mean() > 0.9
        assert changed.mean() < 0.01


def test_steps_are_part_of_the_fingerprint(damaged, model):
    def fingerprint(**options: object) -> str:
        return prepare(Job.checked(source=damaged, model=model, **options)).fingerprint

    assert len({fingerprint(), fingerprint(steps="noise"), fingerprint(steps="stripes")}) == 3


def test_a_sound_scene_has_the_fingerprint_of_no_corrections(tmp_path, model):
    sound = write(tmp_path / "in.tif", pixels()[0].astype(np.uint16))
    found = [
        prepare(Job.checked(source=sound, model=model, steps=steps)) for steps in ("auto", "noise")
    ]
    assert found[0].work.corrections.digest == ""
    assert found[0].fingerprint == found[1].fingerprint


def test_means_of_bands_stay(tmp_path):
    striped = np.rint(stripe(pixels()[0].astype(np.float32), 20.0, angle=0.0, axis="row"))
    source = write(tmp_path / "in.tif", striped.astype(np.uint16))
    report = geoae.restore(source, tmp_path / "out.tif", model="identity", steps="stripes")
    given, found = (read(path).astype(float) for path in (source, tmp_path / "out.tif"))
    assert np.abs(found - given).mean() > 5
    assert np.abs((found - given).mean(axis=(1, 2))).max() < 0.1
    assert np.abs(report.bias).max() < 0.5


def test_a_step_that_nobody_knows_is_one_line(damaged):
    with pytest.raises(RecipeError, match=r"'dust' is no step; give some of lines"):
        geoae.restore(damaged, steps="dust")


def test_spectrum_and_corrections_are_found_by_default(tmp_path):
    """With the shipped model: stripes and correlated noise both go."""
    clean = pixels()[0]
    rng = np.random.default_rng(0)
    white = rng.normal(0, 40, (3, SHAPE[1] + 1, SHAPE[2] + 1))
    moved = sum(white[:, i : i + SHAPE[1], j : j + SHAPE[2]] for i in (0, 1) for j in (0, 1)) / 2
    noisy = stripe((clean + moved).astype(np.float32), 30.0, angle=0.0, axis="column")
    source = tmp_path / "in.tif"
    profile = {"driver": "GTiff", "count": 3, "height": SHAPE[1], "width": SHAPE[2]}
    with rasterio.open(source, "w", dtype="float32", **profile) as dataset:
        dataset.write(noisy)
    found = prepare(Job(source=str(source)))
    assert any(line.startswith("stripes along columns") for line in found.steps)
    assert any("correlated with the next pixel by" in line for line in found.steps)
    np.testing.assert_allclose(found.facts.sigma, 40, rtol=0.2)
    assert found.facts.correlation is not None
    np.testing.assert_allclose(found.facts.correlation[:, 4, 5], 0.5, atol=0.12)
