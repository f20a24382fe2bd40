"""Where outputs go, and what a job takes."""

from pathlib import Path

import numpy as np
import pytest

import geoae
from geoae.errors import OutputError, RecipeError
from geoae.pipeline.job import Job, target_of
from geoae.resources import shipped
from tests.support.rasters import noise, texture, write


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = (texture(1, 60, 70) + noise((1, 60, 70), 9)).astype("uint16")
    return write(tmp_path / "in.tif", pixels)


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (None, "in_restored.tif"),
        ("out.tif", "out.tif"),
        ("new/", "new/in_restored.tif"),
        ("new/deeper/", "new/deeper/in_restored.tif"),
        ("there", "there/in_restored.tif"),
    ],
)
def test_a_folder_takes_the_file(scene, target, wanted):
    Path("there").mkdir()
    report = geoae.restore("in.tif", target, model="identity")
    assert report.target == wanted
    assert Path(wanted).is_file()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("file:///data/out.tif", "/data/out.tif"),
        ("s3://bucket/out.tif", "/vsis3/bucket/out.tif"),
        ("s3://bucket/", "/vsis3/bucket/in_restored.tif"),
        ("gs://bucket/out.tif", "/vsigs/bucket/out.tif"),
    ],
)
def test_addresses_of_rasterio(given, wanted, scene):
    found = target_of(Job(source="in.tif", target=given))
    assert found == wanted


@pytest.mark.parametrize(
    "target", ["zip://out.zip!x.tif", "/vsizip/a.zip/x.tif", "https://x/y.tif"]
)
def test_no_output_goes_into_an_archive(target, scene):
    with pytest.raises(OutputError, match="geoae does not write into"):
        geoae.restore("in.tif", target, model="identity")


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ('NETCDF:"{}":no2', "two_no2_restored.tif"),
        ("netcdf:{}:no2", "two_no2_restored.tif"),
        ('HDF5:"{}"://grid/cloud_mask', "two_grid_cloud_mask_restored.tif"),
        ('HDF4_EOS:EOS_GRID:"{}":Grid:b01', "two_Grid_b01_restored.tif"),
    ],
)
def test_variables_get_default_outputs(tmp_path, source, wanted):
    (tmp_path / "two.nc").touch()
    job = Job(source=source.format(tmp_path / "two.nc"))
    assert target_of(job) == str(tmp_path / wanted)


def test_a_variable_of_no_file_has_no_default():
    with pytest.raises(RecipeError, match="is not a local file"):
        target_of(Job(source='NETCDF:"missing.nc":no2'))


def test_paths_wherever_a_path_is_meant(scene):
    report = geoae.restore(
        Path("in.tif"),
        Path("out.tif"),
        model=shipped("models") / "res-cae",
        recipe=shipped("tiles") / "landsat-30m.toml",
    )
    assert report.status == "restored"


@pytest.mark.parametrize("length", [246, 251])
def test_names_up_to_what_a_file_system_takes(length, scene):
    name = "M" * length + ".tif"
    assert geoae.restore("in.tif", name, model="identity").status == "restored"
    assert geoae.restore("in.tif", name, model="identity").status == "skipped"
    assert sorted(path.name for path in Path().iterdir()) == [name, "in.tif"]


@pytest.mark.parametrize("name", ["a[1].tif", "a*b.tif", "a?.tif", "x y's.tif"])
def test_names_that_globs_interpret(name, scene):
    scene.rename(name)
    assert Path(geoae.restore(name, model="identity").target).is_file()
    assert np.ndim(geoae.restore(name, f"out {name}", model="identity").bands) == 1
