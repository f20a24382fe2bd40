"""An output in a store takes the place of an older one, and of nothing else."""

import subprocess
import sys

import numpy as np
import pytest
import rasterio
import rasterio.shutil

import geoae
from geoae.errors import InputError, OutputError
from geoae.pipeline.upload import refuse_store, upload
from tests.support.rasters import read, texture, write

MTL = b"GROUP = L1_METADATA_FILE\nEND_GROUP = L1_METADATA_FILE\nEND\n"
AUX = b"<PAMDataset><PAMRasterBand band='1'><UnitType>m</UnitType></PAMRasterBand></PAMDataset>"
WORLD = b"10\n0\n0\n-10\n500005\n4999995\n"
UPLOAD = """
import sys
from pathlib import Path

import rasterio
from geoae.pipeline.upload import upload

local, source, target = sys.argv[1:]
try:
    with rasterio.open(target) as dataset:
        print(*dataset.files)
except rasterio.errors.RasterioIOError:
    print("none")
upload(Path(local), source, target)
"""


def put(s3, key, content):
    s3.put_object(Bucket="archive", Key=key, Body=content)


def keys(s3):
    return [one["Key"] for one in s3.list_objects_v2(Bucket="archive").get("Contents", [])]


def replace(local, source, target):
    """Replace a raster, in a process of its own, since GDAL waits for the store with Python's lock
    held.
    """
    return subprocess.run(
        [sys.executable, "-c", UPLOAD, str(local), str(source), target],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def replaced(local, source, target):
    """Replace a raster; return what GDAL read with the older one."""
    done = replace(local, source, target)
    assert done.returncode == 0, done.stderr
    return [name.removeprefix("/vsis3/archive/") for name in done.stdout.split()]


def as_png(scene):
    """The scene in a format that needs a world file."""
    options = {"driver": "PNG", "height": 60, "width": 50, "count": 1, "dtype": "uint16"}
    with rasterio.open(scene.with_name("x.png"), "w", **options) as dataset:
        dataset.write(read(scene))
    return scene.with_name("x.png")


def without_place(scene):
    """The scene as a GeoTIFF that GDAL places by any world file beside it."""
    return write(scene.with_name("bare.tif"), read(scene), crs=None, transform=None)


@pytest.fixture
def scene(tmp_path):
    return write(tmp_path / "in.tif", texture(1, 60, 50).astype(np.uint16))


def test_files_that_other_rasters_share_stay_in_s3(s3, scene):
    put(s3, "LC08_X_B4.TIF", scene.read_bytes())
    put(s3, "LC08_X_MTL.txt", MTL)
    put(s3, "LC08_X_B4.TIF.aux.xml", AUX)
    before = replaced(scene, scene, "/vsis3/archive/LC08_X_B4.TIF")
    assert "LC08_X_MTL.txt" in before, "GDAL reads it with the raster"
    assert keys(s3) == ["LC08_X_B4.TIF", "LC08_X_MTL.txt"]


def test_sidecars_of_a_raster_that_went_go_too(s3, scene):
    for key in ("x.tif.aux.xml", "x.tfw", "x.tif.part", "x.json", "x2.tif.aux.xml"):
        put(s3, key, AUX)
    assert replaced(scene, scene, "/vsis3/archive/x.tif") == ["none"]
    assert keys(s3) == ["x.json", "x.tif", "x.tif.part", "x2.tif.aux.xml"]


def test_sidecars_of_the_source_stay_in_s3(s3, scene):
    put(s3, "x.png", as_png(scene).read_bytes())
    put(s3, "x.wld", WORLD)
    put(s3, "x.tif", without_place(scene).read_bytes())
    before = replaced(scene, "/vsis3/archive/x.png", "/vsis3/archive/x.tif")
    assert before == ["x.tif", "x.wld"]
    assert keys(s3) == ["x.png", "x.tif", "x.wld"]


def test_the_same_upload_mends_what_one_without_its_end_has_left(s3_server, scene, tmp_path):
    s3, store = s3_server
    older = without_place(scene).read_bytes()
    put(s3, "x.tif", older)
    put(s3, "x.tfw", WORLD)
    (tmp_path / "in.tif.aux.xml").write_bytes(AUX)
    store.refuses_ends = True
    assert "x.tif: could not be uploaded" in replace(scene, scene, "/vsis3/archive/x.tif").stderr
    assert keys(s3) == ["x.tif", "x.tif.aux.xml"], "what was beside the older one is gone"
    assert s3.get_object(Bucket="archive", Key="x.tif")["Body"].read() == older
    store.refuses_ends = False
    replaced(scene, scene, "/vsis3/archive/x.tif")
    assert keys(s3) == ["x.tif", "x.tif.aux.xml"]
    assert s3.get_object(Bucket="archive", Key="x.tif")["Body"].read() == scene.read_bytes()


def test_what_fails_on_this_machine_is_not_put_down_to_the_store(s3, scene, tmp_path):
    """Neither the source, nor the finished file, nor its ``.aux.xml``."""
    target = "/vsis3/archive/x.tif"
    with pytest.raises(OutputError, match=r"/none\.tif: cannot be read .*; run the same command"):
        upload(tmp_path / "none.tif", str(scene), target)
    aux = tmp_path / "in.tif.aux.xml"
    aux.mkdir()
    with pytest.raises(OutputError, match=r"/in\.tif\.aux\.xml: cannot be read .*; run the same"):
        upload(scene, str(scene), target)
    aux.rmdir()
    put(s3, "x.tfw", WORLD)
    with pytest.raises(InputError, match=r"^none\.png: cannot be opened as a raster \("):
        upload(scene, "none.png", target)
    assert keys(s3) == ["x.tfw"]


def test_an_output_that_cannot_be_replaced_alone_is_refused(scene):
    """GDAL removes all that it reads with a raster, and geoae has nothing else for such stores."""
    target, shared = "/vsimem/shared/LC08_X_B4.TIF", "/vsimem/shared/LC08_X_MTL.txt"
    rasterio.shutil.copyfiles(str(scene), target)
    refuse_store(str(scene), target)
    with rasterio.MemoryFile(MTL, dirname="shared", filename="LC08_X_MTL.txt"):
        with pytest.raises(OutputError, match=f"remove {shared} with it, .*; choose another -o"):
            geoae.restore(scene, target, model="identity", overwrite=True)
        with rasterio.open(target) as dataset:
            assert dataset.files == [target, shared]


def test_an_output_that_shares_a_sidecar_with_its_source_is_refused(scene):
    """Both are placed by ``x.wld``, which GDAL would remove with the output."""
    source, target, shared = (f"/vsimem/both/x.{end}" for end in ("png", "tif", "wld"))
    rasterio.shutil.copyfiles(str(as_png(scene)), source)
    rasterio.shutil.copyfiles(str(without_place(scene)), target)
    with rasterio.MemoryFile(WORLD, dirname="both", filename="x.wld"):
        refuse_store(str(scene), target)
        with pytest.raises(OutputError, match=f"remove {shared} with it, .*; choose another -o"):
            geoae.restore(source, target, model="identity", overwrite=True)
        for name in (source, target):
            with rasterio.open(name) as dataset:
                assert dataset.files == [name, shared]
