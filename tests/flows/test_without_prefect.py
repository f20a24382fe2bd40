"""The command does without Prefect: not installed, not configured, not imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.scenes import crop
from tests.support.rasters import read

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys
from importlib.machinery import PathFinder

HIDDEN = {"prefect", "fastapi", "sqlalchemy", "pystac", "pystac_client"}

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in HIDDEN else PathFinder.find_spec(name, path, target)

sys.meta_path = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
from geoae.cli.main import main
main()
"""


def geoae(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
    }
    environment["PYTHONPATH"] = str(ROOT / "src")
    command = [sys.executable, "-c", BLOCKED, *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_restore_works(tmp_path):
    crop(tmp_path / "scene.tif")
    done = geoae(tmp_path, "restore", "scene.tif")
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "scene_restored.tif").std() < read(tmp_path / "scene.tif").std()


def test_the_blocker_blocks_and_deploy_says_what_to_install(tmp_path):
    done = geoae(tmp_path, "deploy")
    assert done.returncode == 1
    assert "pip install 'geoae[flows]'" in done.stderr


@pytest.mark.parametrize(
    "words", [["--help"], ["restore", "--help"], ["deploy", "--help"], ["models"]]
)
def test_help_works(tmp_path, words):
    assert geoae(tmp_path, *words).returncode == 0
