import warnings

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from geoae.audit.display import Display, encode_image
from geoae.errors import InputError
from geoae.tiling.window import Window
from tests.support.rasters import noise, texture, write


def made(tmp_path, names=(), colours=(), count=5, **profile) -> str:
    pixels = (texture(count, 40, 60) + noise((count, 40, 60), 20)).astype(np.uint16)
    path = write(tmp_path / "s.tif", pixels, **profile)
    with rasterio.open(path, "r+") as dataset:
        if names:
            dataset.descriptions = names
        if colours:
            dataset.colorinterp = colours
    return str(path)


NIR, R, G, B = (
    ColorInterp.undefined,
    ColorInterp.red,
    ColorInterp.green,
    ColorInterp.blue,
)


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        ({"count": 5}, (1, 2, 3)),
        ({"count": 2}, (1,)),
        ({"count": 4, "colours": (NIR, B, G, R)}, (4, 3, 2)),
        ({"names": ("blue", "green", "red", "nir", "swir")}, (3, 2, 1)),
        ({"names": ("QA_PIXEL", "B2", "B3", "B4", "B5")}, (4, 3, 2)),
        ({"names": ("QA_PIXEL", "B10", "B11", "ST", "other")}, (2, 3, 4)),
        ({"names": ("B2", "B3", "B4"), "count": 3, "colours": (R, G, B)}, (3, 2, 1)),
    ],
)
def test_names_come_before_colours_and_colours_before_order(tmp_path, how, shown):
    assert Display.choose(made(tmp_path, **how)).bands == shown


def test_bands_come_in_the_order_that_is_asked_for(tmp_path):
    source = made(tmp_path)
    display = Display.open(source, (4, 1, 2))
    with display.reader() as reader, rasterio.open(source) as dataset:
        pixels, valid = reader.read(Window(3, 5, 10, 20))
        wanted = dataset.read([4, 1, 2], window=((3, 13), (5, 25)))
    assert np.array_equal(pixels, wanted)
    assert valid.all()


def test_masks_come_in_the_same_order(tmp_path):
    pixels = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)
    pixels[0, 0, 0] = pixels[2, 1, 1] = 255
    source = str(write(tmp_path / "s.tif", pixels, nodata=255))
    with Display.open(source, (3, 1, 2)).reader() as reader:
        found, valid = reader.read(Window(0, 0, 4, 4))
    assert np.array_equal(valid, found != 255)
    assert (valid[0, 1, 1], valid[1, 0, 0], valid[2].all()) == (False, False, True)


@pytest.mark.parametrize("bands", [(1, 2), (1, 2, 3, 4)])
def test_other_numbers_of_bands_are_refused(tmp_path, bands):
    with pytest.raises(InputError, match=r"give three in the order red, green, blue, or one"):
        Display.open(made(tmp_path), bands)


def test_a_scene_of_flags_only_is_refused_unless_bands_are_named(tmp_path):
    source = made(tmp_path, names=("QA_PIXEL",), count=1)
    with pytest.raises(InputError, match=r"no band is a measurement .*name .* with --bands"):
        Display.choose(source)
    assert Display.open(source, (1,)).bands == (1,)


@pytest.mark.parametrize("driver", ["PNG", "JPEG"])
def test_an_image_as_a_file(driver):
    image = np.repeat(np.arange(200, dtype=np.uint8)[None, None], 3, axis=0).repeat(50, axis=1)
    with warnings.catch_warnings(), MemoryFile(encode_image(image, driver)) as memory:
        warnings.simplefilter("ignore")
        with memory.open() as dataset:
            assert dataset.driver == driver
            np.testing.assert_allclose(dataset.read(), image, atol=0 if driver == "PNG" else 8)
