import os
import re
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning

from geoae.errors import InputError, ReadError
from geoae.raster.dataset import explain_unopenable, open_raster, open_source
from geoae.raster.scene import Scene
from geoae.tiling.window import Window
from tests.support.rasters import SHARED, noise, texture, write


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


def test_a_folder_names_the_rasters_in_it(tmp_path):
    (tmp_path / "S2A.SAFE" / "GRANULE").mkdir(parents=True)
    said = explain_unopenable(str(tmp_path / "S2A.SAFE"))
    assert said == "it is a Sentinel-2 product without any raster; give a raster file"
    for number in range(3):
        (tmp_path / "S2A.SAFE" / "GRANULE" / f"B0{number}.jp2").touch()
    said = explain_unopenable(str(tmp_path / "S2A.SAFE"))
    assert "GRANULE/B00.jp2" in said
    assert "GRANULE/B01.jp2 and more" in said


@pytest.mark.parametrize("suffix", ["zip", "tar", "gztar"])
def test_an_archive_names_an_address_that_opens(tmp_path, suffix):
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    write(tmp_path / "in" / "deeper" / "B1.TIF", texture(1, 40, 50).astype(np.uint16))
    (tmp_path / "in" / "note.txt").write_text("no raster")
    archive = shutil.make_archive(str(tmp_path / "scene"), suffix, tmp_path / "in")
    with pytest.raises(InputError, match="it is an archive") as caught, open_source(archive):
        pass
    address = re.search(r"like (\S+),", str(caught.value))[1]
    with open_source(address) as dataset:
        assert dataset.shape == (40, 50)


@pytest.mark.parametrize("suffix", ["zip", "tar", "gztar", "xztar"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_an_archive_cut_short_is_one_line(tmp_path, suffix, share):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "B1.TIF", noise((1, 80, 90), 9).astype(np.float32))
    whole = Path(shutil.make_archive(str(tmp_path / "scene"), suffix, tmp_path / "in"))
    whole.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    with pytest.raises(InputError, match=r"archive|cannot be opened"), open_source(str(whole)):
        pass


@pytest.mark.parametrize(
    ("head", "name"), [(b"\x0e\x03\x13\x01", "HDF4"), (b"msid", "MrSID"), (b"", "empty")]
)
def test_a_format_without_a_driver_is_named(tmp_path, head, name):
    (tmp_path / "in.dat").write_bytes(head and head + bytes(200))
    assert name in explain_unopenable(str(tmp_path / "in.dat"))


def test_what_gdal_can_open_is_not_explained(tmp_path):
    source = write(tmp_path / "in.tif", texture(1, 40, 50).astype(np.uint16))
    assert explain_unopenable(str(source)) is None
    assert explain_unopenable("gone.tif") is None
