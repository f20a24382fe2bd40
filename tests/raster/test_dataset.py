import os
import threading
import warnings

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning

from geoae.errors import InputError, ReadError
from geoae.raster.dataset import open_raster
from geoae.raster.scene import Scene
from geoae.tiling.window import Window
from tests.support.rasters import SHARED, texture, write


@pytest.fixture
def shadowed(tmp_path):
    """A nodata value that hides an alpha, and no georeference: rasterio warns of both."""
    pixels = (texture(4, 70, 60) / 8).astype(np.uint8)
    pixels[3] = 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write(
            tmp_path / "in.tif",
            pixels,
            crs=None,
            transform=None,
            nodata=0,
            photometric="RGB",
            alpha="yes",
        )


def test_what_rasterio_warns_of_is_not_heard(shadowed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_raster(str(shadowed)) as dataset:
            dataset.read_masks(1)
        with Scene.open(str(shadowed)).reader() as reader:
            reader.read(Window(0, 0, 70, 60))


def test_others_hear_it_as_before(shadowed):
    with open_raster(str(shadowed)):
        pass
    with (
        pytest.warns(NotGeoreferencedWarning),
        rasterio.open(shadowed) as dataset,
        pytest.warns(NodataShadowWarning),
    ):
        dataset.read_masks(1)


def test_a_pipe_is_refused_before_gdal_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "in.tif")
    with pytest.raises(InputError, match="is a pipe"), open_raster(str(tmp_path / "in.tif")):
        pass


def test_gdal_says_nothing_on_the_thread_that_reads_ahead(capfd):
    """Its handler of errors belongs to a thread, as its settings do."""
    source = SHARED / "odd/gdal_gcore/classictiff_one_block_byte.tif"
    if not source.exists():
        pytest.skip("../shared is absent")
    with Scene.open(str(source)).reader() as reader:
        thread = threading.Thread(target=reader.read, args=(Window(0, 0, 1, 1),))
        thread.start()
        thread.join()
    assert capfd.readouterr().err == ""


def test_damage_is_an_error_on_any_thread(tmp_path):
    """A worker of Dask opens the scene on a thread of its own, and another one reads ahead."""
    plain, source = (
        write(tmp_path / "in.tif", (texture(1, 256, 256) / 8).astype(np.uint8)),
        tmp_path / "in.jpg",
    )
    rasterio.shutil.copy(str(plain), str(source), driver="JPEG")
    scene, content, found = Scene.open(str(source)), bytearray(source.read_bytes()), []
    content[-500:-400] = b"\xff" * 100
    source.write_bytes(content)

    def read(reader):
        try:
            reader.read(Window(0, 0, 256, 256))
        except ReadError as error:
            found.append(error)

    def work():
        with scene.reader() as reader:
            ahead = threading.Thread(target=read, args=(reader,))
            ahead.start()
            ahead.join()

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert len(found) == 1
