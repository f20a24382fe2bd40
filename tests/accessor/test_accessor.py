import dask
import dask.array
import numpy as np
import pytest
import rioxarray
import xarray

import geoae
import geoae.accessor
from geoae.errors import InputError, RecipeError
from tests.support.networks import save_small_network
from tests.support.rasters import noise, read, texture, write


@pytest.fixture
def scene(tmp_path):
    pixels = (texture(3, 300, 260) + noise((3, 300, 260), 25)).astype(np.uint16)
    pixels[:, 100:140, 50:90] = 0
    return write(tmp_path / "in.tif", pixels, nodata=0)


def lazily(scene) -> xarray.DataArray:
    return rioxarray.open_rasterio(scene, chunks={"y": 100, "x": 90})


def test_it_equals_what_the_command_writes(scene, model, tmp_path):
    geoae.restore(scene, tmp_path / "out.tif", model=model, precision="fp32")
    restored = (
        lazily(scene).geoae.restore(model=model, precision="fp32").compute(scheduler="synchronous")
    )
    assert (restored.values != read(scene)).mean() > 0.5
    assert np.array_equal(restored.values, read(tmp_path / "out.tif"))


@pytest.mark.parametrize("kind", ["amplitude", "db"])
def test_speckle_equals_what_the_command_writes(scene, model, tmp_path, kind):
    rng = np.random.default_rng(0)
    pixels = (texture(2, 300, 260) * rng.gamma(4, 1 / 4, (2, 300, 260)) ** 0.5).astype(np.float32)
    pixels = 20 * np.log10(pixels) if kind == "db" else pixels.astype(np.uint16)
    pixels[:, 100:140, 50:90] = 0
    pixels[1] = 0  # a band without a measurement of amplitude
    write(scene, pixels)
    options = {"model": model, "precision": "fp32", "speckle": kind, "bands": [1, 2]}
    geoae.restore(scene, tmp_path / "out.tif", **options)
    with pytest.warns(UserWarning, match="band 2"):
        restored = lazily(scene).geoae.restore(**options).compute(scheduler="synchronous")
    assert (restored.values != pixels).mean() > 0.4
    assert np.array_equal(restored.values, read(tmp_path / "out.tif"))


def test_it_is_the_same_array_otherwise(scene):
    array = lazily(scene).assign_attrs(mission="any")
    restored = array.geoae.restore(model="identity")
    xarray.testing.assert_identical(restored.compute(), array.compute())
    assert restored.rio.crs == array.rio.crs
    assert restored.rio.nodata == array.rio.nodata
    assert restored.rio.transform() == array.rio.transform()


def test_two_dimensions_and_some_bands(scene):
    array = lazily(scene)
    assert array[0].geoae.restore(model="identity").shape == (300, 260)


def test_bands_that_are_not_asked_for_stay(scene, model):
    array = lazily(scene)
    restored = array.geoae.restore(model=model, tile=128, bands=[2]).compute(
        scheduler="synchronous"
    )
    changed = [(restored.values[band] != array.values[band]).mean() for band in range(3)]
    assert changed[0] == changed[2] == 0
    assert changed[1] > 0.5
    with pytest.raises(RecipeError, match="bands count from 1"):
        array.geoae.restore(model="identity", bands=[0])


def test_noise_of_each_band_is_in_the_order_of_bands(scene, model):
    array = lazily(scene)

    def restored(**options):
        return (
            array.geoae.restore(model=model, tile=128, **options)
            .compute(scheduler="synchronous")
            .values
        )

    one = restored(bands="3,1", sigma="20,5")
    assert (one == restored(bands=[1, 3], sigma=[5, 20])).all()
    assert (one != restored(bands=[1, 3], sigma=[20, 5])).any()
    with pytest.raises(RecipeError, match="sigma has 2 values, but bands 1, 2, 3"):
        restored(sigma="20,5")


def test_what_cannot_be_restored_is_said(scene):
    array = lazily(scene)
    with pytest.raises(InputError, match="cannot be restored"):
        array[0].rename(y="time").geoae.restore(model="identity")
    with pytest.raises(InputError, match="complex"):
        array.astype(complex).geoae.restore(model="identity")
    with pytest.raises(InputError, match="has no pixels"):
        array[:, :0].geoae.restore(model="identity")
    with pytest.raises(InputError, match="has no pixels"):
        array[:0].geoae.restore(model="identity")
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


def test_a_value_that_is_given_is_that_of_the_type(model):
    """As half floats, -9999 is -10000; a recipe may name it too."""
    pixels = ((texture(1, 90, 100) + noise((1, 90, 100), 25)) / 100).astype(np.float16)
    pixels[:, :, :30] = -9999
    array = xarray.DataArray(pixels, dims=("band", "y", "x"))
    restored = (
        array.geoae.restore(model=model, nodata=-9999).compute(scheduler="synchronous").values
    )
    declared = (
        array.rio.write_nodata(-9999)
        .geoae.restore(model=model)
        .compute(scheduler="synchronous")
        .values
    )
    assert restored.tobytes() == declared.tobytes()
    assert (restored[:, :, :30] == -10000).all()
    assert (restored != pixels).mean() > 0.3


def test_a_recipe_names_nodata_of_all_variables(model, tmp_path):
    (tmp_path / "r.toml").write_text("nodata = 0\n")
    pixels = (texture(2, 90, 100) + noise((2, 90, 100), 25)).astype(np.uint16)
    pixels[:, :, :30] = 0
    dataset = xarray.Dataset(
        {
            "red": (("y", "x"), pixels[0]),
            "nir": (("y", "x"), pixels[1]),
            "swir": (("lat", "lon"), pixels[0, ::2, ::2].astype(np.float32)),
        }
    )
    restored = dataset.geoae.restore(model=model, recipe=str(tmp_path / "r.toml")).compute(
        scheduler="synchronous"
    )
    for name, band in restored.items():
        given = dataset[name].values
        assert (band.values[given == 0] == 0).all()
        assert (band.values != given).mean() > 0.3
    with pytest.raises(InputError, match="red, nir: pixels of uint16 cannot be -1"):
        dataset.geoae.restore(model=model, nodata=-1)


def test_nodata_beyond_float32_reaches_no_valid_pixel(model, tmp_path):
    pixels = texture(1, 90, 100).astype(np.float32)
    pixels[:, 40:50, 40:50] = 3.4e38
    source = write(tmp_path / "in.tif", pixels)
    geoae.restore(source, tmp_path / "out.tif", model=model, precision="fp32")
    restored = (
        lazily(source).geoae.restore(model=model, precision="fp32").compute(scheduler="synchronous")
    )
    assert np.array_equal(restored.values, read(tmp_path / "out.tif"))
    assert np.isfinite(restored.values).all()


def test_dates_are_restored_each_by_itself(scene, model):
    array = lazily(scene)[:2, :150, :140]
    days = xarray.concat([array, array[:, ::-1].assign_coords(y=array.y)], dim="time").transpose(
        "y", "x", "band", "time"
    )
    restored = days.geoae.restore(model=model, tile=128).compute(scheduler="synchronous")
    assert restored.dims == days.dims
    for day in range(2):
        alone = days[..., day].transpose("band", "y", "x").geoae.restore(model=model, tile=128)
        alone = alone.compute(scheduler="synchronous")
        assert np.array_equal(restored[..., day].transpose("band", "y", "x").values, alone.values)


def test_notes_that_are_no_longer_true_are_left_out(scene):
    array = lazily(scene).assign_attrs(STATISTICS_MEAN=5.0, mission="any")
    array.encoding |= {"chunks": (1, 100, 90), "preferred_chunks": {"y": 100}, "zlib": True}
    restored = array.geoae.restore(model="identity")
    assert restored.attrs["mission"] == "any"
    assert "STATISTICS_MEAN" not in restored.attrs
    assert restored.encoding["zlib"] is True
    assert not {"chunks", "preferred_chunks"} & set(restored.encoding)
    assert {"chunks", "preferred_chunks"} <= set(array.encoding), (
        "the given array is left as it was"
    )
    assert "STATISTICS_MEAN" in array.attrs


@pytest.mark.parametrize("told_by", ["long_name", "coordinate"])
def test_flags_are_copied_unless_they_are_named(told_by, scene, model):
    array = lazily(scene)
    names = ["red", "QA_PIXEL", "nir"]
    array = (
        array.assign_attrs(long_name=tuple(names))
        if told_by == "long_name"
        else array.assign_coords(band=names)
    )
    restored = array.geoae.restore(model=model, tile=128).compute(scheduler="synchronous")
    assert [bool((restored[band] != array[band]).any()) for band in range(3)] == [True, False, True]
    named = array.geoae.restore(model=model, tile=128, bands=[2]).compute(scheduler="synchronous")
    assert [bool((named[band] != array[band]).any()) for band in range(3)] == [False, True, False]


def test_variables_of_a_dataset_are_bands(scene, model):
    array = lazily(scene)
    coarse = (texture(1, 60, 70)[0] + noise((60, 70), 25)).astype(np.float32)
    dataset = xarray.Dataset(
        {
            "red": array[0].drop_vars("band"),
            "nir": array[1].drop_vars("band"),
            "SCL": array[2].drop_vars("band"),
            "swir": (("y20", "x20"), coarse),
            "thermal": (("lat", "lon"), coarse),
            "crs": 0,
            "profile": ("y", np.zeros(300)),
        }
    )
    dataset["cover"] = dataset["red"].assign_attrs(flag_meanings="water land")
    restored = dataset.geoae.restore(model=model, tile=128)
    assert isinstance(restored["red"].data, dask.array.Array)
    restored = restored.compute(scheduler="synchronous")
    together = array[:2].geoae.restore(model=model, tile=128).compute(scheduler="synchronous")
    assert np.array_equal(restored["red"].values, together[0].values)
    assert np.array_equal(restored["nir"].values, together[1].values)
    for name in ("SCL", "cover", "swir", "crs", "profile"):
        xarray.testing.assert_identical(restored[name], dataset[name].compute())
    assert (restored["thermal"] != dataset["thermal"]).any()
    xarray.testing.assert_identical(restored["red"].y, dataset["red"].y)
    assert restored["red"].rio.nodata == 0
    with pytest.raises(RecipeError, match="choose some"):
        dataset.geoae.restore(bands=[1])
    with pytest.raises(InputError, match="no variable with rows and columns"):
        dataset[["crs"]].geoae.restore()


def test_scattered_nodata_is_measured_as_in_a_file(model, tmp_path):
    pixels = (texture(1, 160, 150) + noise((1, 160, 150), 25)).astype(np.uint16)
    pixels[:, np.random.default_rng(0).random((160, 150)) < 0.1] = 0
    source = write(tmp_path / "in.tif", pixels, nodata=0)
    geoae.restore(source, tmp_path / "out.tif", model=model, precision="fp32")
    restored = lazily(source).geoae.restore(model=model, precision="fp32").compute()
    assert np.array_equal(restored.values, read(tmp_path / "out.tif"))


def test_a_spectrum_does_what_it_does_to_a_file(scene, tmp_path):
    save_small_network(tmp_path / "m", levels=9, head=0.01)
    options = {"model": str(tmp_path / "m"), "precision": "fp32", "sigma": 25, "psd": "bilinear"}
    geoae.restore(scene, tmp_path / "out.tif", **options)
    array = lazily(scene)
    found = array.geoae.restore(**options).compute(scheduler="synchronous").values
    assert np.array_equal(found, read(tmp_path / "out.tif"))
    white = array.geoae.restore(**options | {"psd": "white"}).compute(scheduler="synchronous")
    assert (white.values != found).mean() > 0.01


def test_a_model_that_takes_no_spectrum_says_so(scene, tmp_path):
    save_small_network(tmp_path / "m")
    restored = lazily(scene).geoae.restore(model=str(tmp_path / "m"), sigma=25, psd="bilinear")
    with pytest.warns(UserWarning, match="small: takes no spectrum of the noise; --psd is ignored"):
        restored.compute(scheduler="synchronous")


def test_fill_that_nothing_declares_is_told(model):
    pixels = np.round(texture(1, 200, 200) + noise((1, 200, 200), 25)).astype(np.uint16)
    pixels[:, :, :60] = 0
    array = xarray.DataArray(pixels, dims=("band", "y", "x"), name="scene")
    with pytest.warns(UserWarning, match="scene: 0 fills 30% of the scene"):
        array.geoae.restore(model=model).compute(scheduler="synchronous")


def lazy(pixels: np.ndarray, mask: np.ndarray) -> xarray.DataArray:
    masked = np.where(mask, pixels, np.nan).astype(np.float32)
    chunks = (len(pixels), 400, 400)
    return xarray.DataArray(
        dask.array.from_array(masked, chunks=chunks), dims=("band", "y", "x"), name="scene"
    )


def test_a_strip_between_the_windows_is_restored(model):
    pixels = texture(1, 2000, 2000) + noise((1, 2000, 2000), 25)
    mask = np.zeros(pixels.shape, bool)
    mask[:, :, 500:510] = True
    restored = lazy(pixels, mask).geoae.restore(model=model).compute(scheduler="synchronous")
    assert (restored.values[mask] != pixels.astype(np.float32)[mask]).mean() > 0.9
    assert np.isnan(restored.values[~mask]).all()


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_an_empty_band_is_named_and_the_others_are_as_the_command_writes_them(
    model, tmp_path, scheduler
):
    pixels = texture(3, 300, 260) + noise((3, 300, 260), 25)
    mask = np.ones(pixels.shape, bool)
    mask[1] = False
    scene = lazy(pixels, mask)
    source = write(tmp_path / "in.tif", scene.values, nodata=np.nan)
    with pytest.warns(UserWarning, match="no valid pixel in band 2; copied unchanged"):
        geoae.restore(source, tmp_path / "out.tif", model=model, precision="fp32")
    with pytest.warns(UserWarning, match="scene: no valid pixel in band 2; copied unchanged"):
        restored = scene.geoae.restore(model=model, precision="fp32").compute(scheduler=scheduler)
    assert (restored.values[0] != scene.values[0]).mean() > 0.9
    np.testing.assert_allclose(restored.values, read(tmp_path / "out.tif"), rtol=1e-5)


def test_each_band_keeps_its_own_spectrum_beside_an_empty_band(tmp_path):
    """The spectra are of all bands; those of the valid bands differ."""
    save_small_network(tmp_path / "m", levels=9, head=0.01)
    pixels = texture(3, 60, 60) + noise((3, 60, 60), 25)
    pixels[1] = np.nan
    array = lazy(pixels, ~np.isnan(pixels))
    source = write(tmp_path / "in.tif", array.values, nodata=np.nan)
    options = {"model": str(tmp_path / "m"), "precision": "fp32", "sigma": 25}
    density = np.ones((3, 9, 9))
    density[2, 3:7] = density[2, :, 3:7] = 0.01
    found = {}
    for name, spectra in (("right", density), ("other", density[[0, 2, 1]])):
        np.save(tmp_path / f"{name}.npy", spectra)
        psd = str(tmp_path / f"{name}.npy")
        with pytest.warns(UserWarning, match="no valid pixel in band 2"):
            geoae.restore(source, tmp_path / f"{name}.tif", psd=psd, **options)
        with pytest.warns(UserWarning, match="no valid pixel in band 2"):
            restored = array.geoae.restore(psd=psd, **options).compute(scheduler="synchronous")
        found[name] = restored.values
        np.testing.assert_allclose(restored.values, read(tmp_path / f"{name}.tif"), rtol=1e-5)
    assert (found["right"][[0, 2]] != found["other"][[0, 2]]).mean() > 0.5


def test_too_few_valid_pixels_are_an_error_that_names_sigma(model):
    pixels = texture(1, 900, 900) + noise((1, 900, 900), 25)
    mask = np.zeros(pixels.shape, bool)
    mask[:, 300:310, 300:310] = True
    scene = lazy(pixels, mask)
    restored = scene.geoae.restore(model=model)
    with pytest.raises(InputError, match="scene: too few valid pixels lie side by side"):
        restored.compute(scheduler="synchronous")
    scene.geoae.restore(model=model, sigma=25).compute(scheduler="synchronous")
    scene.geoae.restore(model="identity").compute(scheduler="synchronous")


def test_a_band_without_noise_is_named(model):
    pixels = texture(2, 60, 60) + noise((2, 60, 60), 25)
    pixels[1] = 7
    with pytest.warns(UserWarning, match="scene: no noise can be seen in band 2; unchanged"):
        restored = (
            lazy(pixels, np.ones(pixels.shape, bool))
            .geoae.restore(model=model)
            .compute(scheduler="synchronous")
        )
    assert (restored.values[1] == 7).all()
