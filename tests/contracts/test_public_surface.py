"""What people build on: names that stay, and pixels that a refactoring does not move.

A name may be added, never removed or renamed without a version in which both work.
"""

import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from rasterio.transform import from_origin

import geoae
from geoae import catalog, resources, sources
from geoae.cli.app import cli
from geoae.errors import RecipeError
from geoae.pipeline.fingerprint import ALGORITHM
from geoae.pipeline.job import Job
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.report import RestoreReport
from tests.support.rasters import noise, read, texture, write

ROOT = Path(__file__).parents[2]
RESTORING = (
    "SOURCE --model --sigma --device --precision --recipe --tile --overlap --batch-size --bands"
    " --nodata --tta --profile --psd --steps"
)
COMMANDS = {
    "degrade": "SOURCE CONFIG -o --output --nodata --overwrite",
    "demo": "--out --scene",
    "deploy": "--api --limit --inbox --outbox --server --no-server --worker --no-worker --systemd",
    "diagnose": "SOURCE --bands --nodata --json --html",
    "evaluate": (
        "--models --scenes --kept-out-by --sigmas --damage --peers --crop --side -o --output"
        " --nodata"
    ),
    "inspect": f"{RESTORING} --json",
    "models": "",
    "preview": "SOURCE -o --output --bands --size --compare --nodata --overwrite",
    "restore": f"{RESTORING} -o --output --overwrite --fresh --strict --report --quiet --dry-run",
    "server": "--host --port",
    "train": "CONFIG --scenes -o --output --work --accelerator --devices --strategy",
    "verify": "MODEL --scene --nodata --device --precision --report --into-card",
    "worker": "--api --limit --healthcheck",
}
FIELDS = {
    Job: (
        "source target model sigma device precision recipe tile overlap batch_size bands nodata tta"
        " profile overwrite fresh strict"
    ),
    Recipe: "description model sigma tile overlap bands nodata tta profile ramp",
    RestoreReport: (
        "status source target model digest setting fingerprint height width bands copied tile"
        " overlap tiles tiles_computed tiles_empty slabs_resumed seconds megapixels_per_second"
        " sigma_before slope sigma_after bias warnings"
    ),
}
DEPLOYMENTS = {
    "on-demand": "flows/restore.py:restore_scene",
    "nightly": "flows/archive.py:restore_archive",
    "on-pool": "flows/shards.py:restore_shard",
    "every-10-minutes": "flows/watch.py:watch_inbox",
    "weekly": "flows/retrain.py:retrain",
}
TAGS = {"MODEL", "MODEL_DIGEST", "FINGERPRINT", "ORDER", "SOURCE_IDENTITY", "BANDS", "VERSION"}

# Some pixels that res-cae gives for the scene below, at this ALGORITHM. Where pixels are meant to
# change, raise ALGORITHM and pin them anew. New weights alone need no new ALGORITHM, since the
# digest of the model is in every fingerprint: pin anew, and say so in CHANGELOG.md.
PINNED_ALGORITHM = 6
RESTORED = [
    [2273, 2161, 1979, 2119, 2206, 2028, 2307, 1960, 2044],
    [2204, 2129, 2005, 2100, 2159, 2040, 2227, 1993, 2050],
]


def words(parameter: click.Parameter) -> list[str]:
    if isinstance(parameter, click.Argument):
        return [parameter.name.upper()]
    return [*parameter.opts, *parameter.secondary_opts]


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_keep_their_options(name):
    found = {word for parameter in cli.commands[name].params for word in words(parameter)}
    assert set(COMMANDS[name].split()) <= found


@pytest.mark.parametrize("model", FIELDS, ids=lambda model: model.__name__)
def test_fields_keep_their_names(model):
    assert set(FIELDS[model].split()) <= set(model.model_fields)


def test_the_package_keeps_its_names():
    assert {"GeoaeError", "restore", "verify"} <= set(geoae.__all__)
    assert all(hasattr(geoae, name) for name in geoae.__all__)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert "geoae" in scripts


def test_names_of_version_0_1_keep_their_import_paths():
    assert sources.scenes is catalog.sources.scenes
    assert resources.shipped("models").is_dir()


def test_deployments_keep_their_names():
    listed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    found = {one["name"]: one["entrypoint"] for one in listed}
    assert found.items() >= DEPLOYMENTS.items()


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    pixels = (1000 + texture(2, 300, 330) + noise((2, 300, 330), 20)).astype(np.uint16)
    path = tmp_path_factory.mktemp("scene") / "in.tif"
    return write(path, pixels, crs="EPSG:32633", transform=from_origin(5e5, 5e6, 10, 10))


@pytest.mark.parametrize("call", [geoae.restore, geoae.diagnose])
def test_an_array_is_refused_in_one_line(call):
    with pytest.raises(RecipeError, match=r"^source: is of type ndarray, .*geoae\.restore\(\)$"):
        call(np.zeros((2, 3)))


def test_outputs_keep_their_tags(scene, tmp_path):
    import rasterio

    geoae.restore(scene, tmp_path / "out.tif", model="identity", sigma=20)
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert set(dataset.tags(ns="GEOAE")) >= TAGS
    assert np.array_equal(read(tmp_path / "out.tif"), read(scene))


def test_pixels_are_those_of_the_version_before(scene, tmp_path):
    """Other CPUs round other sums: by one DN at most."""
    assert ALGORITHM == PINNED_ALGORITHM, "pixels change: pin anew, as said above"
    geoae.restore(scene, tmp_path / "out.tif", sigma=20, device="cpu", precision="fp32", tile=256)
    found = read(tmp_path / "out.tif").astype(int)[:, 20::130, 30::140].reshape(2, -1)
    np.testing.assert_allclose(found, RESTORED, atol=1)
