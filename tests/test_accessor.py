import dask
import dask.array
import numpy as np
import pytest
import rioxarray
import xarray

import geoae
import geoae.accessor
from geoae.errors import InputError, ModelError, RecipeError
from geoae.networks import ResCAE
from geoae.order import Job, load_restorer
from geoae.spread import restorer_of
from geoae.weights import save
from tests.doubles import randomised
from tests.rasters import noise, read, texture, write


@pytest.fixture
def scene(tmp_path):
    pixels = (texture(3, 300, 260) + noise((3, 300, 260), 25)).astype(np.uint16)
    pixels[:, 100:140, 50:90] = 0
    return write(tmp_path / "in.tif", pixels, nodata=0)


@pytest.fixture
def model(tmp_path):
    network = randomised(ResCAE(channels=1, widths=(4, 6, 8), blocks=(1, 0, 0, 0, 0)))
    folder = tmp_path / "model"
    save(folder, network, name="small", description="a test's", architecture="res_cae",
         network={"channels": 1, "widths": [4, 6, 8], "blocks": [1, 0, 0, 0, 0]}, tile=128)  # fmt: skip
    return str(folder)


def lazily(scene) -> xarray.DataArray:
    return rioxarray.open_rasterio(scene, chunks={"y": 100, "x": 90})


def test_it_equals_what_the_command_writes(scene, model, tmp_path):
    geoae.restore(scene, tmp_path / "out.tif", model=model, precision="fp32")
    restored = lazily(scene).geoae.restore(model=model, precision="fp32").compute(scheduler="synchronous")
    assert (restored.values != read(scene)).mean() > 0.5
    assert np.array_equal(restored.values, read(tmp_path / "out.tif"))


def test_it_is_the_same_array_otherwise(scene):
    array = lazily(scene).assign_attrs(mission="any")
    restored = array.geoae.restore(model="identity")
    xarray.testing.assert_identical(restored.compute(), array.compute())
    assert restored.rio.crs == array.rio.crs
    assert restored.rio.nodata == array.rio.nodata
    assert restored.rio.transform() == array.rio.transform()


def test_nothing_is_computed_before_it_is_asked_for(model):
    blocks = []

    def block(block_id):
        blocks.append(block_id)
        return np.full((1, 100, 100), 500, np.uint16)

    pixels = dask.array.map_blocks(block, chunks=((1,), (100,) * 20, (100,) * 2), meta=np.empty((0, 0, 0), np.uint16))
    array = xarray.DataArray(pixels, dims=("band", "y", "x"))
    restored = array.geoae.restore(model=model, tile=128)
    assert isinstance(restored.data, dask.array.Array)
    assert not blocks
    restored[:, :10].compute(scheduler="synchronous")
    assert (0, 0, 0) in blocks


def test_two_dimensions_and_some_bands(scene):
    array = lazily(scene)
    assert array[0].geoae.restore(model="identity").shape == (300, 260)


def test_bands_that_are_not_asked_for_stay(scene, model):
    array = lazily(scene)
    restored = array.geoae.restore(model=model, tile=128, bands=[2]).compute(scheduler="synchronous")
    changed = [(restored.values[band] != array.values[band]).mean() for band in range(3)]
    assert changed[0] == changed[2] == 0
    assert changed[1] > 0.5
    with pytest.raises(RecipeError, match="bands count from 1"):
        array.geoae.restore(model="identity", bands=[0])


def test_noise_of_each_band_is_in_the_order_of_bands(scene, model):
    array = lazily(scene)

    def restored(**options):
        return array.geoae.restore(model=model, tile=128, **options).compute(scheduler="synchronous").values

    one = restored(bands="3,1", sigma="20,5")
    assert (one == restored(bands=[1, 3], sigma=[5, 20])).all()
    assert (one != restored(bands=[1, 3], sigma=[20, 5])).any()
    with pytest.raises(RecipeError, match="sigma has 2 values, but bands 1, 2, 3"):
        restored(sigma="20,5")


def test_what_cannot_be_restored_is_said(scene):
    array = lazily(scene)
    with pytest.raises(InputError, match="cannot be restored"):
        array.transpose("y", "x", "band").geoae.restore(model="identity")
    with pytest.raises(InputError, match="cannot be restored"):
        array[0].rename(y="time").geoae.restore(model="identity")
    with pytest.raises(InputError, match="complex"):
        array.astype(complex).geoae.restore(model="identity")
    with pytest.raises(InputError, match="cannot be restored"):
        array.expand_dims("time").geoae.restore(model="identity")
    with pytest.raises(InputError, match="bands 1 to 3"):
        array.geoae.restore(model="identity", bands=[4])
    with pytest.raises(RecipeError, match="did you mean tile"):
        array.geoae.restore(tiel=128)


def test_a_value_that_is_given_is_not_measured_either(model, tmp_path):
    pixels = (texture(2, 90, 100) + noise((2, 90, 100), 25)).astype(np.int16)
    pixels[:, :, :30], pixels[:, :20, 60:] = 0, -9999
    source = write(tmp_path / "in.tif", pixels, nodata=-9999)
    options = {"model": model, "precision": "fp32", "nodata": 0}
    geoae.restore(source, tmp_path / "out.tif", **options)
    restored = lazily(source).geoae.restore(**options).compute(scheduler="synchronous")
    assert np.array_equal(restored.values, read(tmp_path / "out.tif"))
    assert (restored.values[:, :, :30] == 0).sum() == (pixels[:, :, :30] == 0).sum()
    assert (restored.values != pixels).mean() > 0.3
    with pytest.raises(InputError, match="pixels of int16 cannot be 70000"):
        lazily(source).geoae.restore(model=model, nodata=70000)


def test_undeclared_nodata_beyond_float32_reaches_no_valid_pixel(model, tmp_path):
    pixels = texture(1, 90, 100).astype(np.float32)
    pixels[:, 40:50, 40:50] = 3.4e38
    source = write(tmp_path / "in.tif", pixels)
    geoae.restore(source, tmp_path / "out.tif", model=model, precision="fp32")
    restored = lazily(source).geoae.restore(model=model, precision="fp32").compute(scheduler="synchronous")
    assert np.array_equal(restored.values, read(tmp_path / "out.tif"))
    assert np.isfinite(restored.values).all()


def test_a_worker_that_knows_another_model_by_that_name_says_so(model):
    job = Job(source="", model=model)
    assert restorer_of(job, load_restorer(job).digest).name == "small"
    with pytest.raises(ModelError, match="is another model here"):
        restorer_of(job, "of yesterday")
