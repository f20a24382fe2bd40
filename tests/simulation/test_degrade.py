import signal
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from filelock import FileLock

from geoae.errors import BusyError, InputError, OutputError, RecipeError, RejectedError
from geoae.raster.geotiff import assemble
from geoae.simulation import DeadPixels, Gaussian
from geoae.simulation import degrade as simulation_degrade
from geoae.simulation.degrade import DegradeConfig, apply_degradations, degrade
from tests.support.faults import Doomed, Fault, die
from tests.support.rasters import SHARED, read, texture, write

CONFIG = 'seed = 3\n[[degradations]]\nkind = "gaussian"\nsigma = [10, 20]\n'


def config(**changes: object) -> DegradeConfig:
    steps = [{"kind": "gaussian", "sigma": [10.0, 20.0]}]
    return DegradeConfig.model_validate({"degradations": steps} | changes)


@pytest.fixture
def scene(tmp_path):
    pixels = texture(2, 90, 110).astype(np.uint16)
    pixels[:, 10:30, 10:30] = 0
    tags = {"crs": "EPSG:32618", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 4e6)}
    return write(tmp_path / "in.tif", pixels, nodata=0, **tags)


def test_noise_is_as_asked_and_all_else_is_kept(scene, tmp_path):
    degrade(str(scene), config(), tmp_path / "out.tif")
    with rasterio.open(scene) as before, rasterio.open(tmp_path / "out.tif") as after:
        for fact in ("crs", "transform", "dtypes", "nodatavals", "shape", "colorinterp"):
            assert getattr(before, fact) == getattr(after, fact)
        assert np.array_equal(before.read_masks(), after.read_masks())
        valid = before.read_masks(1) != 0
        excess = (after.read().astype(int) - before.read())[:, valid]
    assert excess.std(axis=1) == pytest.approx([10, 20], rel=0.05)
    assert abs(excess.mean(axis=1)).max() < 1
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.tif", "out.tif"]


def test_pixels_of_a_given_value_stay(scene, tmp_path):
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, 50:60] = 7
        dataset.write(pixels)
    degrade(str(scene), config(), tmp_path / "out.tif", nodata=7)
    changed = read(tmp_path / "out.tif") != pixels
    assert not changed[(pixels == 7) | (pixels == 0)].any()
    assert changed[(pixels != 7) & (pixels != 0)].mean() > 0.9


def test_the_same_seed_does_the_same(scene, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        degrade(str(scene), config(seed=seed), tmp_path / f"{name}.tif")
    same, again, other = (read(tmp_path / f"{name}.tif") for name in "abc")
    assert np.array_equal(same, again)
    assert not np.array_equal(same, other)


def test_what_is_invalid_neither_changes_nor_is_seen():
    pixels = np.full((1, 40, 40), 100.0)
    mask = np.ones(pixels.shape, bool)
    mask[:, :20] = False
    results = []
    for hole in (np.nan, -1e30):
        pixels[~mask] = hole
        result = apply_degradations(
            pixels, mask, (None,), [Gaussian(5.0), DeadPixels(0.1, 7.0)], np.random.default_rng(0)
        )
        assert np.array_equal(result[~mask], pixels[~mask], equal_nan=True)
        results.append(result[mask])
    assert np.array_equal(*results)


def test_integers_saturate_and_avoid_nodata():
    pixels = np.full((1, 60, 60), 254, np.uint8)
    result = apply_degradations(pixels, None, (255,), [Gaussian(40.0)], np.random.default_rng(0))
    assert result.dtype == np.uint8
    assert (result != 255).all()
    assert result.max() == 254


def test_palettes_and_masks_are_copied(tmp_path):
    pixels = texture(2, 40, 40).astype(np.uint16)
    path = write(tmp_path / "in.tif", pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(2, "SCL")
    degrade(
        str(path), config(degradations=[{"kind": "gaussian", "sigma": 50}]), tmp_path / "out.tif"
    )
    out = read(tmp_path / "out.tif")
    assert np.array_equal(out[1], pixels[1])
    assert not np.array_equal(out[0], pixels[0])


def test_an_output_that_lost_more_than_quality_is_refused(scene, tmp_path, monkeypatch):
    def spoiled(source, parts, bands, target, **more):
        assemble(source, parts, bands, target, **more)
        with rasterio.open(target, "r+") as dataset:
            dataset.nodata = 7

    monkeypatch.setattr(simulation_degrade, "assemble", spoiled)
    with pytest.raises(RejectedError, match=r"out\.tif: differs from its source in nodata"):
        degrade(str(scene), config(), tmp_path / "out.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_an_output_that_is_there_stays(scene, tmp_path):
    (tmp_path / "out.tif").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        degrade(str(scene), config(), tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_text() == "mine"
    degrade(str(scene), config(), tmp_path / "out.tif", overwrite=True)
    assert read(tmp_path / "out.tif").shape == (2, 90, 110)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CONFIG.replace("gaussian", "gausian"), "did you mean gaussian"),
        (CONFIG.replace("sigma", "sigmaa"), "did you mean sigma"),
        (CONFIG.replace("[10, 20]", "-1"), "cannot be negative"),
        (CONFIG.replace("[10, 20]", "'much'"), "much"),
        (CONFIG.replace("sigma = [10, 20]", ""), "sigma"),
        (CONFIG.replace("seed", "sed"), "did you mean seed"),
        ("seed = 1", "degradations"),
        ("=", "TOML"),
    ],
)
def test_a_wrong_config_is_one_line(tmp_path, text, words):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(RecipeError, match=words) as caught:
        DegradeConfig.read(tmp_path / "config.toml")
    assert "\n" not in str(caught.value).strip()


def test_what_does_not_exist_is_said(scene, tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        DegradeConfig.read(tmp_path / "absent.toml")
    with pytest.raises(InputError, match="absent"):
        degrade(str(tmp_path / "absent.tif"), config(), tmp_path / "out.tif")
    with pytest.raises(OutputError, match="absent: no such folder"):
        degrade(str(scene), config(), tmp_path / "absent" / "out.tif")
    with pytest.raises(RecipeError, match="3 values for 2 bands"):
        degrade(
            str(scene),
            config(degradations=[{"kind": "gaussian", "sigma": [1, 2, 3]}]),
            tmp_path / "out.tif",
        )


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
def test_the_command_on_a_real_scene(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG.replace("[10, 20]", "400"))
    source = SHARED / "scenes/train/l8_loonlake_4band_30m.tif"
    command = [
        sys.executable,
        "-m",
        "geoae",
        "degrade",
        str(source),
        "config.toml",
        "-o",
        "noisy.tif",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "after gaussian" in done.stdout
    with rasterio.open(tmp_path / "noisy.tif") as dataset:
        assert "gaussian" in dataset.tags(ns="GEOAE_DEGRADED")["DEGRADATIONS"]
    excess = read(tmp_path / "noisy.tif").astype(float) - read(source)
    assert np.median(np.abs(excess)) == pytest.approx(0.6745 * 400, rel=0.1)


def test_the_original_is_never_replaced(scene):
    before = scene.read_bytes()
    with pytest.raises(OutputError, match="is the input itself"):
        degrade(str(scene), config(), scene, overwrite=True)
    assert scene.read_bytes() == before


def test_a_scene_without_a_measured_band_is_said(tmp_path):
    path = write(tmp_path / "in.tif", texture(1, 40, 40).astype(np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(1, "SCL")
    with pytest.raises(InputError, match="no measured band"):
        degrade(str(path), config(), tmp_path / "out.tif")


@pytest.mark.parametrize(
    ("call", "nth"), [("copy", 1), ("rename", 1), ("rename", 2), ("remove", 1)]
)
def test_what_a_killed_run_leaves_goes_with_the_next(call, nth, scene, tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    words = ("degrade", "in.tif", "config.toml", "-o", "out.tif", "--overwrite")
    killed = Doomed(tmp_path, *words, faults=[Fault(call, nth, die)])
    assert killed.ended() == -signal.SIGKILL
    left = {path.name for path in tmp_path.iterdir()} - {
        "in.tif",
        "config.toml",
        "stdout",
        "stderr",
    }
    assert left == {".out.tif.degrade"} | ({"out.tif"} if call == "remove" else set()), (
        "nothing under a name of its own"
    )
    again = Doomed(tmp_path, *words)
    assert (again.ended(), again.said) == (0, [])
    degrade(str(scene), DegradeConfig.read(tmp_path / "config.toml"), tmp_path / "straight.tif")
    assert (read(tmp_path / "out.tif") == read(tmp_path / "straight.tif")).all()
    assert not list(tmp_path.glob(".*"))


def test_two_runs_for_one_target_are_refused(scene, tmp_path):
    (tmp_path / ".out.tif.degrade").mkdir()
    with (
        FileLock(tmp_path / ".out.tif.degrade" / "lock"),
        pytest.raises(BusyError, match="another run"),
    ):
        degrade(str(scene), config(), tmp_path / "out.tif")
