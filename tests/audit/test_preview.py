import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC

from geoae.audit import preview as module
from geoae.audit.preview import preview
from geoae.audit.quicklook import GAP
from geoae.errors import InputError, OutputError, ReadError
from tests.support.rasters import SHARED, noise, read, texture, write


def picture(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return read(path).astype(float)


def landsat(bands: int = 4, height: int = 300, width: int = 400) -> np.ndarray:
    return (texture(bands, height, width) + noise((bands, height, width), 20)).astype(np.uint16)


@pytest.fixture
def scene(tmp_path):
    return str(write(tmp_path / "s.tif", landsat()))


# --- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.JPEG"])
@pytest.mark.parametrize(("size", "shape"), [(None, (300, 400)), (100, (75, 100))])
def test_a_picture_fits_the_size_and_is_never_enlarged(scene, tmp_path, name, size, shape):
    assert preview(scene, tmp_path / name, size=size).bands == (1, 2, 3)
    assert picture(tmp_path / name).shape == (3, *shape)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "s.tif"])


def test_black_and_white_are_percentiles_of_each_band(scene, tmp_path):
    preview(scene, tmp_path / "p.png", bands=(4, 1, 2))
    shown, pixels = picture(tmp_path / "p.png"), read(scene)
    for found, band in zip(shown, pixels[[3, 0, 1]], strict=True):
        low, high = np.percentile(band, [1, 99])
        assert 0.005 < (found == 0).mean() < 0.02
        assert np.corrcoef(found.ravel(), band.clip(low, high).ravel())[0, 1] > 0.999


def test_invalid_pixels_are_transparent_in_a_png_and_white_in_a_jpeg(tmp_path):
    pixels = landsat()
    pixels[:, :, :100] = 0
    source = str(write(tmp_path / "s.tif", pixels, nodata=0))
    preview(source, tmp_path / "p.png")
    preview(source, tmp_path / "p.jpg")
    alpha = picture(tmp_path / "p.png")[3]
    assert (alpha[:, :100] == 0).all()
    assert (alpha[:, 100:] == 255).all()
    assert picture(tmp_path / "p.jpg")[:, :, :90].min() > 250


def test_a_pixel_is_shown_where_any_band_is_valid(tmp_path):
    pixels = landsat(3)
    pixels[1, :50] = 0
    source = str(write(tmp_path / "s.tif", pixels, nodata=0))
    preview(source, tmp_path / "p.png")
    assert len(picture(tmp_path / "p.png")) == 3, "no alpha, since no pixel is without a band"


def test_a_nodata_value_of_the_user_is_mixed_into_no_pixel(tmp_path):
    pixels = landsat()
    pixels[:, :, :201] = 60_000
    source = str(write(tmp_path / "s.tif", pixels))
    preview(source, tmp_path / "p.png", nodata=60_000, size=100)
    shown = picture(tmp_path / "p.png")
    assert (shown[3, :, :50] == 0).all()
    assert (shown[3, :, 51:] == 255).all()
    assert (shown[:3, :, 50:] == 255).mean() < 0.05, "none is white by the fill"


def test_fill_that_nobody_declares_does_not_flatten_the_contrast(tmp_path):
    pixels = landsat()
    pixels[:, :, :150] = 0
    source = str(write(tmp_path / "s.tif", pixels))
    preview(source, tmp_path / "p.png")
    shown = picture(tmp_path / "p.png")
    assert (shown[:, :, :150] == 0).all()
    assert shown[:, :, 150:].std() > 50
    assert len(shown) == 3, "it is data until somebody declares it"


def test_before_after_and_difference_in_the_stretch_of_the_scene(tmp_path):
    clean = texture(1, 300, 400)
    noisy = clean + noise(clean.shape, 40)
    for name, pixels in (("noisy", noisy), ("clean", clean)):
        write(tmp_path / f"{name}.tif", pixels.astype(np.int16))
    preview(
        str(tmp_path / "noisy.tif"),
        tmp_path / "p.png",
        restored=str(tmp_path / "clean.tif"),
        size=600,
    )
    image = picture(tmp_path / "p.png")[0]
    side = (600 - 2 * GAP) // 3
    assert image.shape == (side, 3 * side + 2 * GAP)
    before, after, change = (
        image[:, start : start + side] for start in range(0, image.shape[1], side + GAP)
    )
    assert np.abs(np.diff(before)).mean() > 2 * np.abs(np.diff(after)).mean()
    scale = np.ptp(np.percentile(noisy[0, 52:248, 102:298], [1, 99])) / 255
    inside = (change > 0) & (change < 255)
    expected = 127.5 + 3 * (before - after)
    assert abs((change - expected)[inside & (before > 0) & (before < 255)]).max() < 6
    assert change.std() == pytest.approx(3 * 40 / scale, rel=0.25)


def test_an_output_of_another_size_is_refused(scene, tmp_path):
    other = str(write(tmp_path / "o.tif", landsat(4, 300, 401)))
    with pytest.raises(InputError, match=r"has 300 x 401 px, but .* has 300 x 400"):
        preview(scene, tmp_path / "p.png", restored=other)
    assert not (tmp_path / "p.png").exists()


# --- visual COGs --------------------------------------------------------------------------------


def test_a_visual_cog_has_all_pixels_the_georeference_and_a_tag(tmp_path):
    pixels = landsat()
    pixels[:, 40:60] = 0
    source = str(write(tmp_path / "s.tif", pixels, nodata=0))
    with rasterio.open(source, "r+") as dataset:
        dataset.descriptions = ("blue", "green", "red", "nir")
    preview(source, tmp_path / "v.tif")
    with rasterio.open(source) as first, rasterio.open(tmp_path / "v.tif") as found:
        assert (found.crs, found.transform, found.shape) == (
            first.crs,
            first.transform,
            first.shape,
        )
        assert found.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert [colour.name for colour in found.colorinterp] == ["red", "green", "blue", "alpha"]
        assert found.descriptions[:3] == ("red", "green", "blue")
        tags = found.tags(ns="GEOAE_VISUAL")
        assert (tags["VISUAL"], tags["SHOWN"], tags["SOURCE"]) == ("yes", "3,2,1", "s.tif")
        image = found.read()
    assert np.array_equal(image[3] == 255, (pixels != 0).all(axis=0))
    low, high = map(float, tags["STRETCH"].split(",")[0].split(".."))
    wanted = np.clip((pixels[2].astype(float) - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(image[0][image[3] > 0], wanted[image[3] > 0], atol=0.51)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.tif", "v.tif"]


def test_control_points_and_rational_polynomials_are_kept(tmp_path):
    points = [GroundControlPoint(0, 0, 10, 50), GroundControlPoint(300, 400, 11, 49)]
    rpcs = dict.fromkeys(("height_off", "height_scale", "lat_off", "lat_scale"), 1.0)
    rpcs |= dict.fromkeys(("line_off", "line_scale", "long_off", "long_scale"), 1.0)
    rpcs |= {f"{part}_coeff": [1.0] + [0.0] * 19 for part in ("line_num", "line_den")}
    rpcs |= {f"{part}_coeff": [1.0] + [0.0] * 19 for part in ("samp_num", "samp_den")}
    given = {"gcps": points, "rpcs": RPC(**rpcs, samp_off=1.0, samp_scale=2.0)}
    for key, value in given.items():
        profile = {"crs": "EPSG:4326" if key == "gcps" else None, "transform": None}
        source = write(tmp_path / f"{key}.tif", landsat(), **profile, **{key: value})
        preview(str(source), tmp_path / "v.tif", overwrite=True)
        with rasterio.open(source) as first, rasterio.open(tmp_path / "v.tif") as found:
            assert first.gcps[0] if key == "gcps" else first.rpcs
            assert [(p.x, p.y, p.col, p.row) for p in found.gcps[0]] == [
                (p.x, p.y, p.col, p.row) for p in first.gcps[0]
            ]
            assert (found.gcps[1], found.crs, found.rpcs) == (first.gcps[1], first.crs, first.rpcs)


def test_one_band_becomes_grey_and_alpha(scene, tmp_path):
    preview(scene, tmp_path / "v.tif", bands=(2,))
    with rasterio.open(tmp_path / "v.tif") as found:
        assert found.colorinterp == (ColorInterp.gray, ColorInterp.alpha)


def test_strips_of_any_height_give_the_same_file(scene, tmp_path, monkeypatch):
    preview(scene, tmp_path / "v.tif")
    monkeypatch.setattr("geoae.audit.visual.STRIP", 7 * 4 * 400)
    preview(scene, tmp_path / "w.tif")
    assert np.array_equal(read(tmp_path / "v.tif"), read(tmp_path / "w.tif"))


def test_a_file_that_does_not_read_as_written_does_not_appear(scene, tmp_path, monkeypatch):
    copy = rasterio.shutil.copy

    def spoil(strips: str, target: str, **options: str) -> None:
        with rasterio.open(strips, "r+") as dataset:
            dataset.write(np.zeros((4, 9, 9), np.uint8), window=((0, 9), (0, 9)))
        copy(strips, target, **options)

    monkeypatch.setattr(rasterio.shutil, "copy", spoil)
    with pytest.raises(OutputError, match=r"v\.tif: cannot be written \(.*free disk space"):
        preview(scene, tmp_path / "v.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]


def test_a_damaged_scene_leaves_nothing_behind(tmp_path):
    source = write(tmp_path / "s.tif", landsat(), compress="deflate", blockysize=50)
    whole = source.read_bytes()
    middle = len(whole) // 2
    source.write_bytes(whole[:middle] + bytes(9000) + whole[middle + 9000 :])
    for name in ("v.tif", "p.png"):
        with pytest.raises(ReadError, match=r"cannot be read"):
            preview(str(source), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]


# --- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["p.png", "v.tif"])
def test_a_file_that_is_there_is_replaced_only_if_asked_for(scene, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=r"exists; choose another -o, or give --overwrite"):
        preview(scene, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"
    preview(scene, tmp_path / name, overwrite=True)
    assert picture(tmp_path / name).shape[1:] == (300, 400)


def test_neither_scene_nor_output_is_ever_replaced(tmp_path):
    for name in ("a.png", "b.png"):
        pixels = np.clip(texture(3, 60, 60) / 8, 0, 255).astype(np.uint8)
        write(tmp_path / name, pixels, driver="PNG")
    before = (tmp_path / "b.png").read_bytes()
    for words in ({"source": "b.png"}, {"source": "a.png", "restored": "b.png"}):
        given = {key: str(tmp_path / name) for key, name in words.items()}
        with pytest.raises(OutputError, match="is the input itself"):
            preview(**given, target=tmp_path / "b.png", overwrite=True)
    assert (tmp_path / "b.png").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("p.gif", {}, r"name a picture on a disk, \.png or \.jpg, or a visual COG, \.tif"),
        ("p", {}, "is no name of a preview"),
        ("nowhere/p.png", {}, "nowhere: no such folder"),
        ("v.tif", {"size": 100}, r"for --size and --compare name a picture"),
        ("v.tif", {"restored": "r.tif"}, r"for --size and --compare name a picture"),
    ],
)
def test_targets_that_cannot_be(scene, tmp_path, name, how, said):
    with pytest.raises(OutputError, match=said):
        preview(scene, tmp_path / name, **how)
    assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]


def test_a_write_that_fails_keeps_the_file_before(scene, tmp_path, monkeypatch):
    (tmp_path / "p.png").write_text("mine")

    def fail(draft: Path, final: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "rename", fail)
    with pytest.raises(OutputError, match=r"p\.png: cannot be written \(No space left on device\)"):
        preview(scene, tmp_path / "p.png", overwrite=True)
    assert (tmp_path / "p.png").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")
def test_landsat_5_by_the_names_of_its_bands(tmp_path):
    scene = SHARED / "scenes/real_noise/l5_tm_19880814_6band_30m.tif"
    assert preview(str(scene), tmp_path / "p.png").bands == (3, 2, 1)
