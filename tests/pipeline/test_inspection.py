import os
import re
import subprocess
import sys

import numpy as np
import pytest
import rasterio

import geoae
from geoae.models.torch_restorer import TorchRestorer
from geoae.pipeline.inspection import inspect
from geoae.pipeline.job import Job
from geoae.simulation.degrade import DegradeConfig, degrade
from tests.support.rasters import noise, texture, write


@pytest.fixture
def scene(tmp_path):
    pixels = (texture(3, 400, 300) + noise((3, 400, 300), 20)).astype(np.uint16)
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("red", "nir", "QA_PIXEL")
    return path


def test_bands_noise_and_treatment(scene):
    found = inspect(Job(source=str(scene), model="identity"))
    red, nir, quality = found.bands
    assert (red.name, nir.name) == ("red", "nir")
    assert [red.sigma, nir.sigma] == pytest.approx([20, 20], rel=0.1)
    assert [red.slope, nir.slope] == [0, 0]
    assert red.snr == pytest.approx(red.spread / red.sigma)
    assert quality.treatment == "copied: quality or class band"
    assert quality.sigma is None
    assert (found.height, found.width, found.count, found.crs) == (400, 300, 3, "EPSG:32633")


def test_fill_that_nobody_declares_is_told(tmp_path):
    pixels = (texture(1, 200, 200) + noise((1, 200, 200), 20)).astype(np.uint16)
    pixels[:, :, :60] = 0
    source = write(tmp_path / "in.tif", pixels)
    found = inspect(Job(source=str(source), model="identity"))
    assert len(found.notes) == 1
    assert "0 fills 30% of the scene" in found.notes[0]
    given = inspect(Job(source=str(source), model="identity", nodata=0))
    assert (given.notes, given.bands[0].nodata) == ([], 0)
    assert given.valid_percent == pytest.approx(70)
    assert given.bands[0].mean > 900 > found.bands[0].mean


def test_noise_that_grows_with_the_signal_is_told(tmp_path):
    clean = np.repeat(np.linspace(200, 3000, 400)[None, :, None], 400, axis=2)
    grown = (clean + noise(clean.shape, 1) * np.sqrt(25 + 2 * clean)).astype(np.float32)
    source = write(tmp_path / "in.tif", grown)
    band = inspect(Job(source=str(source), model="identity")).bands[0]
    assert band.slope == pytest.approx(2, rel=0.2)
    assert band.sigma == pytest.approx(np.sqrt(25 + 2 * clean.mean()), rel=0.1)
    report = geoae.restore(source, tmp_path / "out.tif", model="identity")
    assert report.slope == [band.slope]
    made = inspect(Job(source=str(tmp_path / "out.tif"), model="identity")).restored_with
    assert float(made["SLOPE"]) == pytest.approx(band.slope, rel=1e-5)


def test_the_plan_is_the_one_a_run_follows(scene, tmp_path):
    plan = inspect(Job(source=str(scene), model="identity", tile=96)).plan
    report = geoae.restore(scene, tmp_path / "out.tif", model="identity", tile=96)
    assert (plan.tiles, plan.tile, plan.overlap) == (report.tiles, report.tile, report.overlap)
    assert not list(tmp_path.glob(".*")), "looking leaves nothing behind"


def test_only_components_that_hold_signal_are_timed(tmp_path, monkeypatch):
    """Of 40 bands that mix 3, a run restores few components more."""
    mixing = np.random.default_rng(0).uniform(0.2, 1.0, (40, 3))
    pixels = np.tensordot(mixing, [texture(1, 160, 160, seed)[0] for seed in range(3)], 1)
    source = write(tmp_path / "in.tif", (pixels + noise(pixels.shape, 40)).astype(np.uint16))
    sizes = []
    restore = TorchRestorer.__call__

    def count(self, samples, *told):
        sizes.append(samples.shape[0] * samples.shape[1])
        return restore(self, samples, *told)

    monkeypatch.setattr(TorchRestorer, "__call__", count)
    assert inspect(Job(source=str(source))).plan.seconds > 0
    assert 3 <= max(sizes) <= 8


def test_an_output_of_geoae_is_recognised(scene, tmp_path):
    geoae.restore(scene, tmp_path / "out.tif", model="identity")
    assert (
        inspect(Job(source=str(tmp_path / "out.tif"), model="identity")).restored_with["MODEL"]
        == "identity"
    )


def test_a_degraded_scene_is_not_called_restored(scene, tmp_path):
    steps = DegradeConfig.model_validate({"degradations": [{"kind": "gaussian", "sigma": 9}]})
    degrade(str(scene), steps, tmp_path / "noisy.tif")
    assert not inspect(Job(source=str(tmp_path / "noisy.tif"), model="identity")).restored_with
    geoae.restore(tmp_path / "noisy.tif", tmp_path / "out.tif", model="identity")
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert "gaussian" in dataset.tags(ns="GEOAE_DEGRADED")["DEGRADATIONS"]


def test_a_scene_without_a_measured_band_is_shown_too(scene):
    with rasterio.open(scene, "r+") as dataset:
        dataset.descriptions = ("SCL", "cloud mask", "QA_PIXEL")
    found = inspect(Job(source=str(scene), model="identity"))
    assert [band.treatment for band in found.bands] == ["copied: quality or class band"] * 3
    assert found.plan.seconds < 10


# The peak of a child begins with that of the process that starts it: a small one in between.
PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "geoae", *sys.argv[1:]], check=True)
per_mib = 1 << 20 if sys.platform == "darwin" else 1 << 10
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / per_mib)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process alone is known on Linux")
@pytest.mark.parametrize("shape", [(3, 1300, 1300), (80, 100, 100)])
@pytest.mark.parametrize("model", ["identity", "res-cae"])
def test_memory_is_what_a_run_takes(tmp_path, shape, model):
    """Within a quarter on any machine; the benchmark of memory holds it to 15 %."""
    pixels = (texture(*shape) + noise(shape, 25)).clip(0).astype(np.uint16)
    source = str(write(tmp_path / "in.tif", pixels, tiled=True, compress="deflate"))
    # Two threads that wait for each other without computing, as the machine may be busy.
    environment = os.environ | {
        "COLUMNS": "500",
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "passive",
    }
    shown, peak = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for command in (
            [sys.executable, "-m", "geoae", "inspect", source, "--model", model, "--device", "cpu"],
            [
                sys.executable,
                "-c",
                PEAK,
                "restore",
                source,
                "--model",
                model,
                "--device",
                "cpu",
                "--quiet",
            ],
        )
    )
    forecast = re.search(r"about (\d+) MiB of memory", shown)
    assert float(forecast[1]) == pytest.approx(float(peak), rel=0.25), shown
