import base64
import warnings

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from geoae.audit.quicklook import GAP, SIDE, draw_middle, draw_quicklook
from tests.support.rasters import noise, texture, write


def pixels_of(picture: str) -> np.ndarray:
    head, data = picture.split(",")
    assert head == "data:image/jpeg;base64"
    with warnings.catch_warnings(), MemoryFile(base64.b64decode(data)) as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open() as dataset:
            return dataset.read().astype(float)


@pytest.fixture
def pair(tmp_path):
    clean = texture(4, 300, 400)
    clean[:, :, :150] = -1
    noisy = np.where(clean < 0, -1, clean + noise(clean.shape, 40))
    return [
        str(write(tmp_path / f"{name}.tif", p.astype(np.int16), nodata=-1))
        for name, p in (("noisy", noisy), ("clean", clean))
    ]


@pytest.mark.parametrize(("bands", "shown"), [((1, 2, 3, 4), 3), ((2, 4), 1), ((1,), 1)])
def test_three_panels_of_the_middle(pair, bands, shown):
    picture = draw_quicklook(*pair, bands)
    assert len(picture) < 150_000
    assert pixels_of(picture).shape == (shown, SIDE, 3 * SIDE + 2 * GAP)


def test_before_is_noisier_and_the_difference_lies_around_grey(pair):
    image = pixels_of(draw_quicklook(*pair, (1,)))[0]
    before, after, difference = (
        image[:, start + 100 : start + SIDE - 4] for start in (0, SIDE + GAP, 2 * (SIDE + GAP))
    )
    assert np.abs(np.diff(before)).mean() > 2 * np.abs(np.diff(after)).mean()
    assert abs(difference.mean() - 127) < 5
    assert image[:, :40].mean() > 250


def test_red_green_and_blue_are_shown_as_such(tmp_path):
    pixels = np.full((3, 30, 40), 50, np.uint8)
    pixels[2, :, 20:] = 200
    source = str(write(tmp_path / "s.tif", pixels))
    with rasterio.open(source, "r+") as dataset:
        dataset.descriptions = ("B02", "B03", "B04")
    for picture in (draw_quicklook(source, source, (1, 2, 3)), draw_middle(source, (1, 2, 3))):
        red, green, blue = pixels_of(picture)[:, :, 25:39].mean(axis=(1, 2))
        assert red > 240
        assert max(green, blue) < 15


def test_a_scene_smaller_than_the_picture(tmp_path):
    small = str(write(tmp_path / "s.tif", np.full((1, 9, 12), 7, np.uint8)))
    assert pixels_of(draw_quicklook(small, small, (1,))).shape == (1, 9, 3 * 12 + 2 * GAP)
