import subprocess
import sys

import numpy as np
import pytest

from geoae.cli import main
from geoae.errors import GeoaeError
from geoae.models import card
from tests.support.commands import run_python
from tests.support.rasters import texture, write


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["restore"], "geoae: restore: missing argument 'INPUT...'; see geoae restore --help"),
        (["polish", "s.tif"], "geoae: no such command 'polish'; see geoae --help"),
        (["restor", "s.tif"], "geoae: no such command 'restor'; did you mean restore?"),
        (
            ["restore", "s.tif", "--sigm", "5"],
            "geoae: restore: no such option '--sigm'; did you mean --sigma?",
        ),
        (
            ["restore", "s.tif", "--xyz"],
            "geoae: restore: no such option '--xyz'; see geoae restore --help",
        ),
        (
            ["restore", "s.tif", "--tile"],
            "geoae: option '--tile' requires an argument; see geoae --help",
        ),
        (
            ["restore", "s.tif", "--tile", "0"],
            (
                "geoae: restore: invalid value for '--tile': 0 is not in the range x>=1; see geoae"
                " restore --help"
            ),
        ),
        (["restore", "s.tif", "--overlap", "-3"], "-3 is not in the range"),
        (["restore", "s.tif", "--batch-size", "many"], "'many' is not a valid"),
        (["restore", "s.tif", "--profile", "png"], "'png' is not one of 'cog', 'gtiff'"),
        (["restore", "s.tif", "--precision", "fp8"], "'fp8' is not one of 'auto', 'fp32', 'bf16'"),
        (
            ["inspect", "s.tif", "t.tif"],
            "geoae: inspect: got unexpected extra argument (t.tif); see geoae inspect --help",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_one_line_with_the_cure(geoae, words, said):
    code, out, err = geoae(*words)
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith("geoae: ")
    assert said in err[0]


def test_a_file_that_cannot_be_used_is_named(geoae, monkeypatch):
    def fail():
        raise PermissionError(13, "Permission denied", "/opt/models")

    monkeypatch.setattr(card, "shipped_models", fail)
    code, out, err = geoae("models")
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith("geoae: /opt/models: cannot be used (Permission denied)")


@pytest.mark.parametrize("arguments", [("--help",), ("inspect", "s.tif", "--model", "identity")])
@pytest.mark.parametrize("closed", [False, True])
def test_what_cannot_be_said_is_one_line_and_not_a_traceback(arguments, closed, tmp_path):
    write(tmp_path / "s.tif", texture(1, 40, 40).astype(np.uint16))
    line = f"exec {sys.executable} -m geoae {' '.join(arguments)} " + (
        ">&-" if closed else "> /dev/full"
    )
    ended = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if closed:
        assert (ended.returncode, ended.stderr) == (0, "")
    else:
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert "what it says cannot be written (No space left on device)" in ended.stderr


def test_command_line_loads_no_torch_for_help(tmp_path):
    look = (
        "import sys\nfrom geoae.cli.main import main\nsys.argv = ['geoae', 'restore', '--help']\n"
    )
    look += (
        "try: main()\nexcept SystemExit: pass\nprint('torch' in sys.modules, 'rasterio' in"
        " sys.modules)"
    )
    assert run_python("-c", look, cwd=tmp_path).stdout.splitlines()[-1] == "False False"


def test_command_line_loads_for_one_scene_only_what_it_needs(tmp_path):
    """Modules that take tenths of a second and more to load."""
    scene = write(tmp_path / "scene.tif", texture(1, 90, 90).astype(np.uint16))
    look = (
        "import sys\nfrom geoae.cli.main import main\n"
        f"sys.argv = ['geoae', 'restore', {str(scene)!r}, '--model', 'identity', '--quiet']\n"
        "main()\nslow = ['torch', 'xarray', 'dask', 'tenacity', 'scipy.optimize', 'scipy.signal',"
        " 'scipy.stats', 'scipy.ndimage']\nprint([name for name in slow if name in sys.modules])"
    )
    done = run_python("-c", look, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['scipy.ndimage']\n", "")
    assert scene.with_name("scene_restored.tif").exists()


def test_a_wrong_path_is_said_before_torch_is_loaded(tmp_path):
    look = (
        "import sys\nfrom geoae.cli.main import main\n"
        "sys.argv = ['geoae', 'restore', 'absent.tif']\n"
        "try: main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    )
    done = run_python("-c", look, cwd=tmp_path)
    assert done.stdout == "False\n"
    assert "absent.tif: cannot be opened" in done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GeoaeError("s.tif:\n  is broken"), "geoae: s.tif: is broken"),
        (MemoryError(), "geoae: out of memory; give a smaller --tile, "),
        (RuntimeError("can't allocate memory: you tried"), "geoae: out of memory; give a smaller"),
        (ImportError("libx.so: failed to map segment"), "geoae: out of memory while its libraries"),
        (OSError(28, "No space left on device", "r.json"), "geoae: r.json: cannot be used (No spa"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_one_line_and_exit_code_one(geoae, monkeypatch, error, said):
    def fail(**options):
        raise error

    monkeypatch.setattr(main.cli, "main", fail)
    code, out, err = geoae("models")
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith(said)


def test_a_fault_of_geoae_keeps_its_traceback(geoae, monkeypatch):
    """An import that fails for another reason, or a bug, is not passed off as the user's."""
    for error in (ImportError("no module named x"), ZeroDivisionError()):

        def fail(error=error, **options):
            raise error

        monkeypatch.setattr(main.cli, "main", fail)
        with pytest.raises(type(error)):
            geoae("models")
