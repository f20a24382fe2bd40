from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterWindow
from scipy import ndimage

from geoae.errors import InputError, ReadError
from geoae.raster.scene import Scene
from geoae.tiling.window import Window
from tests.support.doubles import DTYPES, pixels_of
from tests.support.rasters import SHARED, noise, texture, write

PYTHON_VRT = """<VRTDataset rasterXSize="4" rasterYSize="4">
<VRTRasterBand dataType="Float32" band="1"
subClass="VRTDerivedRasterBand"><PixelFunctionType>run</PixelFunctionType><PixelFunctionLanguage>Python
</PixelFunctionLanguage><PixelFunctionCode><![CDATA[
def run(in_ar, out_ar, *args, **kwargs):
    open({marker!r}, "w").close()
]]></PixelFunctionCode></VRTRasterBand></VRTDataset>"""


@pytest.mark.parametrize("dtype", DTYPES)
def test_windows_are_what_rasterio_reads(tmp_path, dtype):
    path = write(tmp_path / "in.tif", pixels_of(dtype, (3, 40, 50)))
    scene = Scene.open(str(path))
    with scene.reader() as reader, rasterio.open(path) as oracle:
        pixels, mask = reader.read(Window(7, 9, 20, 30))
        assert pixels.tobytes() == oracle.read(window=RasterWindow(9, 7, 30, 20)).tobytes()
    assert mask is None
    assert scene.dtype == dtype
    assert scene.bands == (1, 2, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 5), (17, 30)])
def test_a_scene_continues_as_its_reflection(tmp_path, size):
    pixels = pixels_of("int16", (2, *size))
    with Scene.open(str(write(tmp_path / "in.tif", pixels))).reader() as reader:
        found, _ = reader.read(Window(-20, -20, size[0] + 40, size[1] + 40))
    assert np.array_equal(found, np.pad(pixels, ((0, 0), (20, 20), (20, 20)), mode="reflect"))


@pytest.mark.parametrize("nodata", [7.0, float("nan")])
def test_valid_is_the_mask_of_the_band_and_finite(tmp_path, nodata):
    pixels = texture(2, 30, 30).astype(np.float32)
    pixels[0, 3, 4], pixels[1, 5, 6], pixels[1, 8, 8] = nodata, np.nan, np.inf
    with Scene.open(str(write(tmp_path / "in.tif", pixels, nodata=nodata))).reader() as reader:
        _, mask = reader.read(Window(0, 0, 30, 30))
    expected = np.ones((2, 30, 30), bool)
    expected[0, 3, 4] = expected[1, 5, 6] = expected[1, 8, 8] = False
    assert np.array_equal(mask, expected)


def test_undeclared_zeros_are_data(tmp_path):
    scene = Scene.open(str(write(tmp_path / "in.tif", np.zeros((1, 9, 9), np.uint16))))
    with scene.reader() as reader:
        assert reader.read(Window(0, 0, 9, 9))[1] is None


@pytest.mark.parametrize("declared", [None, 9, 0])
def test_a_given_value_is_not_measured_beside_the_declared_one(tmp_path, declared):
    pixels = np.arange(100, dtype=np.uint16).reshape(1, 10, 10) % 12
    scene = Scene.open(str(write(tmp_path / "in.tif", pixels, nodata=declared)), fill=0)
    with scene.reader() as reader:
        _, mask = reader.read(Window(0, 0, 10, 10))
    assert np.array_equal(mask, (pixels != 0) & (pixels != declared))
    assert scene.nodata == ((9, 0) if declared == 9 else 0,)
    assert scene.identity == Scene.open(scene.source).identity
    refused(scene.source, r"pixels of uint16 cannot be -1; correct --nodata", fill=-1)


def test_bands_that_are_no_measurements_are_copied(tmp_path):
    path = write(tmp_path / "in.tif", np.ones((4, 8, 8), np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("red", "QA_PIXEL", "mass", "cloud_mask")
    scene = Scene.open(str(path))
    assert scene.bands == (1, 3)
    assert scene.copied == {2: "quality or class band", 4: "quality or class band"}
    assert Scene.open(str(path), (3,)).copied[1] == "not among --bands"


def four_bands(path, fourth, dtype="uint8", name=None, bands=4, **profile):
    """Red, green, blue and a ``fourth`` band, tagged as alpha."""
    pixels = np.clip(texture(bands, 90, 80) / 8 + noise((bands, 90, 80), 5), 0, 255)
    pixels[bands - 1 if bands < 4 else 3] = fourth
    path = write(path, pixels.astype(dtype), **profile)
    with rasterio.open(path, "r+") as dataset:
        colours = [
            ColorInterp.red,
            ColorInterp.green,
            ColorInterp.blue,
            ColorInterp.alpha,
            ColorInterp.undefined,
        ]
        dataset.colorinterp = (
            [ColorInterp.gray, ColorInterp.alpha] if bands == 2 else colours[:bands]
        )
        if name:
            dataset.set_band_description(bands if bands < 4 else 4, name)
    return str(path)


INFRARED = np.clip(texture(1, 90, 80)[0] / 10 + noise((90, 80), 8), 0, 255)
INFRARED[:30] = 0  # water
CUT_OUT = np.where(np.mgrid[:90, :80][0] > 30, 255, 0)


@pytest.mark.parametrize(
    "kinds", [{}, {"bands": 2}, {"bands": 5}, {"dtype": "uint16"}, {"nodata": 255}, {"name": "NIR"}]
)
def test_infrared_tagged_as_alpha_is_restored_and_masks_nothing(tmp_path, kinds):
    band = 2 if kinds.get("bands") == 2 else 4
    source = four_bands(tmp_path / "in.tif", INFRARED, **kinds)
    scene = Scene.open(source)
    assert scene.copied == {}
    assert scene.mistagged == (band,)
    assert scene.notes == (
        (
            f"{source}: band {band} is tagged as alpha, but holds a measurement, so it is restored;"
            " to copy it, name the others in --bands"
        ),
    )
    with scene.reader() as reader:
        assert reader.read(Window(0, 0, 30, 80))[1] is None
    others = tuple(other for other in scene.bands if other != band)
    with Scene.open(source, others).reader() as reader:
        assert reader.read(Window(0, 0, 30, 80))[1] is None


@pytest.mark.parametrize("kinds", [{}, {"bands": 2}, {"dtype": "uint16"}])
def test_a_true_alpha_is_copied_and_is_the_mask(tmp_path, kinds):
    band = kinds.get("bands", 4)
    scene = Scene.open(four_bands(tmp_path / "in.tif", CUT_OUT, **kinds))
    assert scene.copied == {band: "alpha"}
    assert (scene.mistagged, scene.notes) == ((), ())
    with scene.reader() as reader:
        _, mask = reader.read(Window(0, 0, 90, 80))
    assert (mask == (CUT_OUT > 0)).all()


def test_nodata_is_no_evidence_of_an_alpha(tmp_path):
    """A collar of 255, declared as nodata, is not opaque."""
    collar = np.where(np.mgrid[:90, :80][1] < 60, 255, INFRARED)
    assert Scene.open(four_bands(tmp_path / "in.tif", collar, nodata=255)).copied == {}


def test_a_person_outweighs_every_tag_and_name(tmp_path):
    alpha = four_bands(tmp_path / "alpha.tif", CUT_OUT)
    scene = Scene.open(alpha, (3, 4))
    assert (scene.bands, scene.mistagged) == ((3, 4), (4,))
    assert scene.notes == (
        f"{alpha}: band 4 is tagged as alpha, but is restored since --bands names it",
    )
    with scene.reader() as reader:
        assert reader.read(Window(0, 0, 90, 80))[1] is None
    named = write(tmp_path / "named.tif", np.ones((2, 8, 8), np.uint16))
    with rasterio.open(named, "r+") as dataset:
        dataset.descriptions = ("QA_PIXEL", "SCL")
    bits = write(tmp_path / "bits.tif", np.ones((2, 8, 8), np.uint8), nbits=1)
    palette = write(tmp_path / "palette.tif", np.ones((1, 8, 8), np.uint8), photometric="palette")
    for path, said in (
        (named, "is named as flags"),
        (bits, "has one bit"),
        (palette, "has a palette"),
    ):
        scene = Scene.open(str(path), (1,))
        assert scene.bands == (1,)
        assert said in scene.notes[0]
        assert 1 in Scene.open(str(path)).copied


def test_what_a_person_leaves_out_is_told_only_where_it_matters(tmp_path):
    source = four_bands(tmp_path / "in.tif", INFRARED)
    assert "does not say which pixels are valid" in Scene.open(source, (1, 2)).notes[0]
    assert Scene.open(four_bands(tmp_path / "nodata.tif", INFRARED, nodata=255), (1, 2)).notes == ()


def test_an_output_is_decided_like_its_source(tmp_path):
    """However smooth its band has become."""
    source = four_bands(tmp_path / "in.tif", ndimage.gaussian_filter(CUT_OUT * 1.0, 3))
    assert 4 in Scene.open(source).copied
    with rasterio.open(source, "r+") as dataset:
        dataset.update_tags(ns="GEOAE", FINGERPRINT="a", BANDS="1,2,3,4")
    assert Scene.open(source).copied == {}


def test_damage_is_told_while_bands_are_judged(tmp_path):
    path = Path(four_bands(tmp_path / "in.tif", INFRARED, tiled=True, blockxsize=16, blockysize=16))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ReadError, match="cannot be read"):
        Scene.open(str(path))


def test_identity_follows_file_and_facts(tmp_path):
    path = write(tmp_path / "in.tif", np.ones((1, 8, 8), np.uint16))
    first = Scene.open(str(path)).identity
    assert Scene.open(str(path)).identity == first
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ACQUIRED="today")
    assert Scene.open(str(path)).identity != first


def refused(source: object, words: str, **options: object) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Scene.open(str(source), **options)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_restored_is_one_line(tmp_path):
    refused(tmp_path / "absent.tif", "cannot be opened")
    (tmp_path / "notes.tif").write_text("not a raster")
    refused(tmp_path / "notes.tif", "check the path")
    refused(
        write(tmp_path / "complex.tif", np.ones((1, 8, 8), np.complex64)),
        "complex64 data cannot be restored",
    )
    refused(
        write(tmp_path / "in.tif", np.ones((2, 8, 8), np.uint8)), "bands 1 to 2, not 5", only=(1, 5)
    )


def test_a_damaged_block_is_named(tmp_path):
    path = write(
        tmp_path / "in.tif",
        pixels_of("uint16", (1, 64, 64)),
        tiled=True,
        blockxsize=16,
        blockysize=16,
    )
    path.write_bytes(path.read_bytes()[:-3000])
    with (
        Scene.open(str(path)).reader() as reader,
        pytest.raises(ReadError, match=r"rows 48\.\.63, columns 0\.\.15"),
    ):
        reader.read(Window(48, 0, 16, 64))


def test_python_in_a_vrt_never_runs(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "trap.vrt"
    path.write_text(PYTHON_VRT.format(marker=str(marker)))
    with pytest.raises(InputError), Scene.open(str(path)).reader() as reader:
        reader.read(Window(0, 0, 4, 4))
    assert not marker.exists()


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
def test_a_real_landsat_scene_is_described():
    scene = Scene.open(str(SHARED / "scenes/train/l8_224078_20200518_rgb_30m.tif"))
    assert (scene.count, scene.crs[:4], scene.bands) == (3, "EPSG", (1, 2, 3))


def test_code_in_a_vrt_does_not_run_even_where_it_is_allowed(tmp_path, monkeypatch):
    write(tmp_path / "s.tif", texture(1, 20, 30).astype(np.uint16))
    ran = tmp_path / "ran"
    code = (
        f"def f(inputs, out, *more, **named):\n    open({str(ran)!r}, 'w').close()\n    out[:] = 1"
    )
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="30" rasterYSize="20"><VRTRasterBand dataType="UInt16" band="1"'
        ' subClass="VRTDerivedRasterBand">'
        f"<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionCode><![CDATA[{code}]]>"
        "</PixelFunctionCode><SimpleSource><SourceFilename"
        ' relativeToVRT="1">s.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    with pytest.raises(
        InputError,
        match=r"Python code .* needs to be executed, but this has been explicitly disabled",
    ):
        scene = Scene.open(str(tmp_path / "a.vrt"))
        with scene.reader() as reader:
            reader.read(Window(0, 0, 20, 30))
    assert not ran.exists()


def test_further_pages_are_told(tmp_path):
    path = write(tmp_path / "in.tif", np.ones((1, 40, 40), np.uint16))
    assert Scene.open(str(path)).losses == ()
    write(path, np.ones((1, 40, 40), np.uint16), APPEND_SUBDATASET="YES")
    (loss,) = Scene.open(str(path)).losses
    assert "has 2 pages, of which only the first is restored" in loss
    assert "GTIFF_DIR:2:" in loss


def test_flags_by_values_are_copied_and_told(tmp_path):
    rng = np.random.default_rng(0)
    ground = ndimage.gaussian_filter(rng.normal(size=(200, 200)), 4)
    ground = ground / ground.std() + rng.normal(0, 0.5, ground.shape)
    flags = np.select([ground > 1.2, ground > 0.6, ground > -0.8], [22280, 21952, 21824], 21890)
    red = texture(1, 200, 200)[0] + noise((200, 200), 30)
    path = str(write(tmp_path / "in.tif", np.stack([red, flags]).astype(np.uint16)))
    scene = Scene.open(path)
    assert scene.bands == (1,)
    assert scene.notes == (
        f"{path}: band 2 is copied, since its values look like flags or classes; to restore it,"
        " name it in --bands",
    )
    assert scene.has_classes
    assert Scene.open(path, (1, 2)).bands == (1, 2)
    assert (
        Scene.open(str(write(tmp_path / "x_QA_PIXEL.TIF", red[None].astype(np.uint16)))).bands == ()
    )


def test_a_band_that_only_its_files_name_calls_flags_is_told(tmp_path):
    pixels = texture(1, 60, 70).astype(np.uint16)
    [note] = Scene.open(str(write(tmp_path / "LC08_QA_PIXEL.tif", pixels))).notes
    assert "band 1 is copied, since the file's name says quality or class band" in note
    path = write(tmp_path / "cloud_prob_lt20_nir.tif", pixels)
    assert (Scene.open(str(path)).bands, Scene.open(str(path)).notes) == ((1,), ())
