import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import geoae
from tests.support.rasters import noise, read, texture, write

ROOT = Path(__file__).parents[1]
IMPORT = """
import time, sys
began = time.process_time()
import geoae
heavy = {"torch", "prefect", "xarray", "rasterio", "dask", "scipy"}
print(time.process_time() - began, *heavy & sys.modules.keys())
"""


def python(*arguments: object, cwd: Path = ROOT, **environment: str) -> str:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_quick_and_loads_nothing_heavy():
    seconds, *loaded = python("-c", IMPORT).split()
    assert not loaded
    assert float(seconds) < 1


def test_every_core_dependency_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        re.match(r"[\w-]+", entry)[0].replace("-", "_") for entry in project["dependencies"]
    }
    code = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", code, re.MULTILINE))
    assert declared <= imported


def test_the_version_is_that_of_the_package():
    assert geoae.__version__ == version("geoae")
    with pytest.raises(AttributeError, match="vrsion"):
        _ = geoae.vrsion


# Private parts of other packages, each used in one file, whose own tests say when it breaks.
PRIVATE = {
    "atexit._run_exitfuncs": {"cli/signals.py"},
    "rasterio._base": {"cli/process.py"},
    "rasterio._err": {"system/gdal_errors.py"},
    "rasterio._path": {"raster/vrt.py"},
    "torch.cpu._is_avx512_bf16_supported": {"models/torch_restorer.py"},
}


def test_private_parts_of_other_packages_are_used_in_one_file():
    package, used = ROOT / "src" / "geoae", {}
    for path in package.rglob("*.py"):
        modules = r"(?:atexit|dask|distributed|numpy|pydantic|rasterio|scipy|torch|xarray)"
        for name in re.findall(rf"\b{modules}(?:\.\w+)*\._(?!_)\w+", path.read_text()):
            used.setdefault(name, set()).add(str(path.relative_to(package)))
    assert used == PRIVATE


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """geoae as an installed wheel, in a folder far from the repository."""
    folder = tmp_path_factory.mktemp("installed")
    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, ROOT)
    return folder


def works(cwd: Path, **environment: str) -> None:
    """Models and recipes are found, and a scene is restored with both."""
    scene = write(
        cwd / "scene.tif", (texture(2, 90, 90) + noise((2, 90, 90), 25)).astype(np.uint16)
    )
    assert "res-cae" in python("-m", "geoae", "models", cwd=cwd, **environment)
    python(
        "-m",
        "geoae",
        "restore",
        "scene.tif",
        "--recipe",
        "landsat-30m",
        "--report",
        "r.json",
        cwd=cwd,
        **environment,
    )
    assert json.loads((cwd / "r.json").read_text())["model"] == "res-cae"
    assert read(cwd / "scene_restored.tif").std() < read(scene).std()


@pytest.mark.slow
def test_a_wheel_works_in_another_folder(wheel, tmp_path):
    where = python(
        "-c", "import geoae; print(geoae.__file__)", cwd=tmp_path, PYTHONPATH=str(wheel)
    ).strip()
    assert Path(where).is_relative_to(wheel)
    assert (wheel / "geoae" / "_shipped" / "models" / "res-cae" / "weights.safetensors").exists()
    works(tmp_path, PYTHONPATH=str(wheel))


def test_the_checkout_works_from_another_folder(tmp_path):
    works(tmp_path, PYTHONPATH=str(ROOT / "src"))
