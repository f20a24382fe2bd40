"""Where disk, device memory or the source fails during a run, the target is whole or absent, and
the next run goes on.
"""

import os
import resource
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
import torch

import geoae
from geoae.models.torch_restorer import TorchRestorer
from tests.support.faults import Doomed, Fault, die, goes_on, hit, parts_of, words
from tests.support.rasters import read, write


@pytest.fixture
def small_disk(tmp_path):
    """Makes ``tmp_path/disk`` a disk of that many KiB."""
    disk = tmp_path / "disk"

    def make(kibibytes: int) -> Path:
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", disk]
        if (
            not shutil.which("mount")
            or subprocess.run(command, capture_output=True, check=False).returncode
        ):
            pytest.skip("a small disk cannot be mounted here")
        return disk

    yield make
    if disk.is_mount():
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("kibibytes", [16, 400, 3000, 7000])
def test_a_full_disk_is_one_line_and_the_run_can_go_on(tmp_path, source, small_disk, kibibytes):
    disk = small_disk(kibibytes)
    order = ["-o", str(disk / "out.tif"), "--profile", "gtiff"]
    run = Doomed(tmp_path, *words(source, *order))
    assert run.ended() == 1
    assert len(run.said) == 1
    assert "free" in run.said[0]
    assert not (disk / "out.tif").exists()
    finished = len(parts_of(disk))
    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    run = Doomed(tmp_path, *words(source, *order))
    assert run.ended() == 0, run.said
    assert run.report["slabs_resumed"] == finished
    assert np.array_equal(read(disk / "out.tif"), read(source))
    assert [path.name for path in disk.iterdir()] == ["out.tif"]


@pytest.mark.parametrize("kibibytes", [20, 100])
def test_a_limit_to_the_size_of_files_is_one_line(tmp_path, source, kibibytes):
    """Too little for a part's pixels, and enough for those but not for all of its blocks."""
    run = hit(tmp_path, source, limits={resource.RLIMIT_FSIZE: kibibytes << 10})
    assert run.ended() == 1
    assert len(run.said) == 1
    assert "cannot be written" in run.said[0]
    assert not (tmp_path / "out.tif").exists()
    assert not parts_of(tmp_path)
    goes_on(tmp_path, words(source), read(source))


def test_out_of_device_memory_halves_the_batch(tmp_path, source, monkeypatch):
    options = {
        "model": "res-cae",
        "tile": 272,
        "device": "cpu",
        "precision": "fp32",
        "batch_size": 4,
    }
    geoae.restore(source, tmp_path / "whole.tif", **options)
    real, sizes = TorchRestorer._forward, []

    def greedy(self, batch, level):
        sizes.append(len(batch))
        if len(sizes) > 1 and len(batch) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return real(self, batch, level)

    monkeypatch.setattr(TorchRestorer, "_forward", greedy)
    report = geoae.restore(source, tmp_path / "out.tif", **options)
    assert sizes[:4] == [4, 4, 2, 1]
    assert set(sizes[3:]) == {1}
    assert report.tiles_computed == report.tiles
    moved = np.abs(read(tmp_path / "out.tif").astype(int) - read(tmp_path / "whole.tif"))
    assert moved.max() <= 1


def rewrite(path: Path) -> None:
    """Other pixels in the same file: size and time of change are as before."""
    before, other = path.stat(), write(path.with_name("other.tif"), read(path)[:, ::-1])
    path.write_bytes(other.read_bytes())
    other.unlink()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def replace(path: Path) -> None:
    """Another file of the same size and time of change takes the name."""
    before, other = path.stat(), write(path.with_name("other.tif"), read(path)[:, ::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def mosaic(path: Path) -> str:
    """A VRT over ``path``."""
    rasterio.shutil.copy(str(path), str(path.with_name("mosaic.vrt")), driver="VRT")
    return str(path.with_name("mosaic.vrt"))


@pytest.mark.parametrize("change", [rewrite, replace])
@pytest.mark.parametrize("name", [str, mosaic])
def test_a_source_that_changed_between_runs_is_restored_anew(tmp_path, source, change, name):
    mine = shutil.copy(source, tmp_path / "in.tif")
    folder = tmp_path / "run"
    folder.mkdir()
    order = words(name(mine))
    assert Doomed(folder, *order, faults=[Fault("compute", 60, die)]).ended() == -signal.SIGKILL
    assert parts_of(folder)
    change(mine)
    goes_on(folder, order, read(mine), resumed=0)


@pytest.mark.parametrize("call", ["compute", "copy"])
@pytest.mark.parametrize("change", [rewrite, replace])
def test_a_source_that_changes_during_a_run_is_never_published(tmp_path, source, change, call):
    mine = shutil.copy(source, tmp_path / "in.tif")
    folder = tmp_path / "run"
    folder.mkdir()
    run = Doomed(
        folder,
        *words(mine),
        faults=[Fault(call, 60 if call == "compute" else 1, partial(change, mine))],
    )
    assert run.ended() == 1
    assert len(run.said) == 1
    assert "in.tif: has changed while it was restored" in run.said[0]
    assert not (folder / "out.tif").exists()
    goes_on(folder, words(mine), read(mine), resumed=0)


def test_a_zipped_source_that_changed_is_restored_anew(tmp_path, source):
    mine = shutil.copy(source, tmp_path / "in.tif")
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.make_archive(str(tmp_path / "scene"), "zip", tmp_path, "in.tif")
    order = words(f"/vsizip/{tmp_path}/scene.zip/in.tif")
    assert Doomed(folder, *order, faults=[Fault("compute", 60, die)]).ended() == -signal.SIGKILL
    rewrite(mine)
    shutil.make_archive(str(tmp_path / "scene"), "zip", tmp_path, "in.tif")
    goes_on(folder, order, read(mine), resumed=0)
