"""Restoring in processes forked from one that has computed, where the threads of torch and GDAL are
gone.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geoae.errors import DeviceError
from geoae.models.folder import load
from geoae.models.torch_restorer import TorchRestorer
from tests.support.rasters import noise, read, texture, write

ROOT = Path(__file__).parents[2]
# The parent does what is in the first word, then restores in a child by fork.
SCRIPT = """
import multiprocessing, os, sys
import geoae

def restore(target):
    options = {"model": sys.argv[2], "sigma": 20.0, "device": "cpu"}
    return geoae.restore("in.tif", target, overwrite=True, fresh=True, **options).status

def compute():
    import torch
    torch.ones(1 << 20).exp_().sum()

if __name__ == "__main__":
    restore("parent.tif") if sys.argv[1] == "restore" else compute()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.map_async(restore, ["child.tif"]).get(timeout=150), flush=True)
    os._exit(0)
"""


def forked(folder: Path, side: int, first: str, model: str, **environment: str) -> np.ndarray:
    """What a child restores of a scene of ``side`` px in ``folder``, once its parent has done
    ``first``.
    """
    pixels = (texture(1, side, side) + noise((1, side, side), 20)).astype(np.uint16)
    write(folder / "in.tif", pixels, tiled=True, compress="deflate", blockxsize=64, blockysize=64)
    command = [sys.executable, "-c", SCRIPT, first, model]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "['restored']\n", done.stderr
    return read(folder / "child.tif")


@pytest.mark.parametrize("first", ["restore", "torch"])
def test_a_network_runs_in_a_fork_of_one_that_has_computed(tmp_path, first):
    restored = forked(tmp_path, 96, first, "res-cae")
    assert (restored != read(tmp_path / "in.tif")).any()


@pytest.mark.parametrize("threads", ["1", "2"])
def test_gdal_copies_in_a_fork_of_a_process_that_has_copied(tmp_path, threads):
    """More than one block of the output, or GDAL would start no threads; with 2, it reads with
    threads too.
    """
    restored = forked(tmp_path, 600, "restore", "identity", GDAL_NUM_THREADS=threads)
    assert np.array_equal(restored, read(tmp_path / "in.tif"))


def test_a_gpu_that_is_lost_in_a_fork_is_one_line(monkeypatch):
    def lost(*_: object) -> None:
        raise RuntimeError(
            "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, use"
            " spawn"
        )

    monkeypatch.setattr(TorchRestorer, "__init__", lost)
    with pytest.raises(DeviceError, match="start processes by spawn") as caught:
        load("res-cae", device="cpu")
    assert "\n" not in str(caught.value)


def test_a_process_that_was_not_forked_keeps_its_threads():
    command = (
        "import torch, geoae.models.folder, geoae.raster.checks.validate as s;"
        " print(torch.get_num_threads(), s.STRICT.get('GDAL_NUM_THREADS'))"
    )
    threads = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", command],
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["2", "None"]
