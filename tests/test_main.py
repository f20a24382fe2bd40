"""The program ``geoae``, as ``python -m geoae`` in a process of its own."""

import numpy as np
import pytest

from tests.support.commands import run_python
from tests.support.rasters import noise, read, texture, write


@pytest.fixture
def scene(tmp_path):
    pixels = texture(3, 90, 130) + noise((3, 90, 130), 20)
    return write(tmp_path / "s.tif", pixels.astype(np.uint16))


def test_program_restores_and_says_so_in_one_line(scene, tmp_path):
    done = run_python("-m", "geoae", "restore", "s.tif", "--model", "identity", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("s_restored.tif: 90 rows x 130 columns x 3 bands, 1 tile, ")
    assert done.stdout.count("\n") == 1
    assert (read(tmp_path / "s_restored.tif") == read(scene)).all()


def test_program_fails_in_one_line_without_traceback(tmp_path):
    done = run_python("-m", "geoae", "restore", "missing.tif", "--model", "identity", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("geoae: missing.tif: ")
    assert done.stderr.count("\n") == 1


def test_program_knows_wrong_usage(tmp_path):
    done = run_python("-m", "geoae", "restore", "--tyle", "3", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "geoae: restore: no such option '--tyle'; did you mean --tile?\n"


def test_importing_the_program_is_quick_and_runs_nothing(tmp_path):
    """Signals are heard before anything is imported that takes time."""
    look = (
        "import sys; import geoae.__main__;"
        "print([name for name in ('click', 'numpy', 'pydantic') if name in sys.modules])"
    )
    done = run_python("-c", look, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
