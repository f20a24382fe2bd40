"""What the command does to its process, each time in a process of its own."""

import json
import os

import pytest

from tests.support.commands import run_python

SHOW = """
import json, os
from geoae.cli.process import tune_process
tune_process()
print(json.dumps(dict(os.environ)))
"""
# libtiff's own default handler prints to standard error. Setting a handler gives the one before.
HANDLER = """
import ctypes, rasterio._base
from geoae.cli.process import silence_libraries
library = ctypes.CDLL(rasterio._base.__file__)
library.TIFFSetErrorHandler.restype = ctypes.c_void_p
before = library.TIFFSetErrorHandler(None)
library.TIFFSetErrorHandler(ctypes.c_void_p(before))
silence_libraries()
print(bool(before), bool(library.TIFFSetErrorHandler(None)))
"""


@pytest.fixture
def plain(monkeypatch):
    """An environment that says nothing of the libraries."""
    for name in [name for name in os.environ if name.startswith(("GDAL_", "CPL_", "OPENBLAS_"))]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_memory_and_retries_are_set(plain, tmp_path):
    found = json.loads(run_python("-c", SHOW, cwd=tmp_path).stdout)
    assert (found["GDAL_CACHEMAX"], found["OPENBLAS_NUM_THREADS"]) == ("48", "1")
    assert found["GDAL_HTTP_MAX_RETRY"] == "4"
    assert found["CPL_LOG"] == os.devnull


def test_what_a_person_has_set_stays(plain, tmp_path):
    plain.setenv("GDAL_CACHEMAX", "512")
    found = json.loads(run_python("-c", SHOW, cwd=tmp_path).stdout)
    assert (found["GDAL_CACHEMAX"], found["GDAL_HTTP_MAX_RETRY"]) == ("512", "4")


def test_libtiff_is_silenced(tmp_path):
    """Through rasterio's library, which must still load and hand out libtiff: else this fails."""
    done = run_python("-c", HANDLER, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("True False\n", "")
