"""Whatever happens to a run, its target is whole or absent, and the next run goes on from what is
finished.
"""

import contextlib
import itertools
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

import geoae
from tests.support.faults import Doomed, Fault, SlowCopy, die, die_soon, parts_of
from tests.support.rasters import SHARED, noise, read, texture, write

RESUMES = "; what is finished is kept, run the same command again to go on"
LEFT = ["out.tif", "report.json", "stderr", "stdout"]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    pixels = texture(2, 500, 300) + noise((2, 500, 300), 30)
    return write(tmp_path_factory.mktemp("scene") / "in.tif", pixels.astype(np.uint16))


def words(source: Path | str, *more: str, model: str = "identity", tile: int = 64) -> list[str]:
    options = [
        "-o",
        "out.tif",
        "--model",
        model,
        "--tile",
        str(tile),
        "--report",
        "report.json",
        "--device",
        "cpu",
    ]
    return ["restore", str(source), *options, *more]


def hit(
    folder: Path, source: Path | str, *faults: Fault, limits: dict[int, int] | None = None
) -> Doomed:
    return Doomed(folder, *words(source), faults=faults, limits=limits)


def goes_on(folder: Path, order: list[str], truth: np.ndarray, resumed: int | None = None) -> None:
    """The same command again: what is finished stays, the result is right, nothing else is left."""
    finished, published = parts_of(folder), (folder / "out.tif").exists()
    run = Doomed(folder, *order)
    assert run.ended() == 0, run.said
    if published:
        assert run.report["status"] == "skipped"
    else:
        assert run.report["slabs_resumed"] == (len(finished) if resumed is None else resumed)
    assert np.array_equal(read(folder / "out.tif"), truth)
    assert sorted(path.name for path in folder.iterdir()) == LEFT


SLABS = 13
MOMENTS = [
    ("read", 40, die, False),
    ("compute", 60, die, True),
    ("write", 50, die, True),
    ("rename", 1, die, False),
    ("rename", SLABS, die, True),
    ("copy", 1, partial(die_soon, 0.01), False),
    ("read back", 1, die, False),
    ("rename", SLABS + 1, die, False),
    ("rename", SLABS + 1, die, True),
    ("unlink", SLABS + 4, die, True),
]
MORE_MOMENTS = [
    ("read", 1, die, False),
    ("compute", 1, die, False),
    ("write", 1, die, False),
    ("flush", 1, die, False),
    ("flush", 5, die, True),
    ("rename", 1, die, True),
    ("copy", 1, die, False),
    ("copy", 1, partial(die_soon, 0.002), False),
    ("flush", SLABS + 1, die, True),
    ("flush", SLABS + 2, die, True),
    ("remove", 1, die, False),
]


def killed_at(moment: tuple, folder: Path, source: Path) -> None:
    """Kill a run at ``moment``, then let another end it."""
    assert hit(folder, source, Fault(*moment)).ended() == -signal.SIGKILL
    if (folder / "out.tif").exists():
        assert np.array_equal(read(folder / "out.tif"), read(source)), "complete or absent"
    goes_on(folder, words(source), read(source))


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment[0]}-{moment[1]}")
def test_killed_at_a_chosen_moment(tmp_path, source, moment):
    killed_at(moment, tmp_path, source)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MORE_MOMENTS, ids=lambda moment: f"{moment[0]}-{moment[1]}")
def test_killed_at_more_moments(tmp_path, source, moment):
    killed_at(moment, tmp_path, source)


def killed_again_and_again(folder: Path, order: list[str], kills: int, seed: int) -> dict[str, int]:
    """Kill a run and its successors ``kills`` times, at any moment from the first to the last; what
    was seen.
    """
    assert Doomed(folder, *order).ended() == 0, "so that the next is timed without loading anything"
    truth = read(folder / "out.tif")
    (folder / "out.tif").unlink()
    began = time.monotonic()
    assert Doomed(folder, *order).ended() == 0
    lasts = time.monotonic() - began
    (folder / "out.tif").unlink()
    rng = np.random.default_rng(seed)
    seen = {
        "kills": 0,
        "with_parts": 0,
        "parts_taken_over": 0,
        "after_publishing": 0,
        "completed": 0,
    }
    before: dict[str, tuple[int, int]] = {}
    while seen["kills"] < kills:
        run = Doomed(folder, *order)
        time.sleep(rng.uniform(0.05, 0.8 * lasts))
        run.signal(signal.SIGKILL)
        killed, published = run.ended() == -signal.SIGKILL, (folder / "out.tif").exists()
        now = parts_of(folder)
        seen["kills"] += killed
        seen["with_parts"] += killed and bool(now)
        if published:
            assert np.array_equal(read(folder / "out.tif"), truth)
            seen["after_publishing"] += killed
            seen["completed"] += not killed
            assert killed or run.report["slabs_resumed"] == len(before)
            if killed:
                goes_on(folder, order, truth)
            (folder / "out.tif").unlink()
            now = {}
        else:
            assert killed, run.said
            assert before.items() <= now.items(), "a finished part was made again"
            seen["parts_taken_over"] += len(before)
        before = now
    goes_on(folder, order, truth)
    return seen


def test_killed_at_any_moment(tmp_path, source):
    assert killed_again_and_again(tmp_path, words(source), 5, seed=1)["kills"] == 5


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize(
    ("scene", "model", "tile"),
    [
        ("train/l8_224078_20200518_rgb_30m.tif", "identity", 96),
        ("real_noise/l8_020039_20150804_tirs_B10_B11.tif", "res-cae", 272),
    ],
)
def test_fifty_kills_of_a_real_scene(tmp_path, capsys, scene, model, tile):
    order = words(SHARED / "scenes" / scene, model=model, tile=tile)
    seen = killed_again_and_again(tmp_path, order, 50, seed=2)
    assert seen["with_parts"] >= 10
    with capsys.disabled():
        print(f"\n{model}: {seen}")


# --- interrupted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code", "why", "call"),
    [
        (signal.SIGINT, 130, "interrupted", "compute"),
        (signal.SIGINT, 130, "interrupted", "read"),
        (signal.SIGTERM, 143, "terminated", "write"),
        (signal.SIGTERM, 143, "terminated", "compute"),
        (signal.SIGHUP, 129, "terminated", "compute"),
    ],
)
def test_a_signal_ends_a_run_in_one_line(tmp_path, source, number, code, why, call):
    run = hit(tmp_path, source, Fault(call, 60, partial(os.killpg, 0, number)))
    assert run.ended() == code
    assert run.said == [f"geoae: {why}{RESUMES}"]
    assert not (tmp_path / "out.tif").exists()
    left = {path.suffix for path in (tmp_path / ".out.tif.geoae").iterdir()}
    assert left <= {"", ".json", ".tif"}, "nothing half written"
    goes_on(tmp_path, words(source), read(source))


@pytest.mark.slow
def test_signals_at_any_moment(tmp_path, source):
    rng = np.random.default_rng(3)
    for number in [signal.SIGINT, signal.SIGTERM] * 15:
        run = hit(tmp_path, source)
        time.sleep(rng.uniform(0.1, 0.6))
        run.signal(number)
        if run.ended() == 0:
            (tmp_path / "out.tif").unlink()
            continue
        assert run.process.exitcode == 128 + number
        assert len(run.said) == 1
        assert run.said[0].endswith(RESUMES)
    goes_on(tmp_path, words(source), read(source))


def test_ctrl_c_need_not_wait_for_gdals_copy(tmp_path):
    pixels = noise((3, 1500, 1500), 2000).astype(np.int16)
    source = write(tmp_path / "in.tif", pixels)
    folder = tmp_path / "run"
    folder.mkdir()
    order = words(source, tile=1024)
    run = Doomed(folder, *order, faults=[SlowCopy()])
    while not list(folder.glob(".out.tif.geoae/*.part")):
        assert run.process.is_alive(), run.said
        time.sleep(0.01)
    time.sleep(0.3)
    assert run.process.is_alive()
    began = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.ended() == 130
    assert time.monotonic() - began < 1.5, "the copy takes several seconds"
    assert run.said == [f"geoae: interrupted{RESUMES}"]
    goes_on(folder, order, pixels)


def test_a_second_ctrl_c_ends_it_at_once(tmp_path, source):
    run = hit(tmp_path, source, Fault("write", 60, partial(time.sleep, 60)))
    while not parts_of(tmp_path):
        time.sleep(0.01)
    time.sleep(0.5)
    run.signal(signal.SIGINT)
    time.sleep(0.3)
    assert run.process.is_alive(), "waits for what is being written"
    run.signal(signal.SIGINT)
    assert run.ended(within=20) == 130
    assert run.said == [f"geoae: interrupted{RESUMES}"]
    goes_on(tmp_path, words(source), read(source))


# --- no space -----------------------------------------------------------------------------------


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
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    tmp_path, source, small_disk, kibibytes
):
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


# --- the source changes -------------------------------------------------------------------------


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
    import rasterio.shutil

    rasterio.shutil.copy(str(path), str(path.with_name("mosaic.vrt")), driver="VRT")
    return str(path.with_name("mosaic.vrt"))


@pytest.mark.parametrize("change", [rewrite, replace])
@pytest.mark.parametrize("name", [str, mosaic])
def test_a_source_that_changed_between_two_runs_is_restored_anew(tmp_path, source, change, name):
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


# --- the storage fails --------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """Of GDAL, from the environment."""

    values: dict[str, str]

    def install(self) -> None:
        os.environ.update(self.values)


class Storage(ThreadingHTTPServer):
    """A web server of one file; request ``n`` is answered by ``status(n)`` where that is
    not 200.
    """

    def __init__(self, path: Path, status: Callable[[int], int]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.status, self.count = path.read_bytes(), status, itertools.count(1)
        self.name = f"/vsicurl/http://127.0.0.1:{self.server_port}/in.tif"


class Answer(BaseHTTPRequestHandler):
    server: Storage

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        content, status = self.server.content, 200
        if not self.path.endswith("/in.tif"):
            return self.send_error(404)
        if self.command == "GET":
            status = self.server.status(next(self.server.count))
        if status != 200:
            return self.send_error(status)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        start, stop = int(asked[1]), min(int(asked[2] or len(content)) + 1, len(content))
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[start:stop])
        return None

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def storage(source):
    """Starts a ``Storage`` of the scene."""
    with contextlib.ExitStack() as stack:

        def start(status: Callable[[int], int]) -> Storage:
            server = stack.enter_context(Storage(source, status))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return server

        yield start


# In many small requests, and nothing kept: what was sampled is asked for again.
REMOTE = Settings(
    {
        "GDAL_HTTP_RETRY_DELAY": "0.02",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "no_proxy": "*",
        "CPL_VSIL_CURL_CHUNK_SIZE": "8192",
        "CPL_VSIL_CURL_CACHE_SIZE": "65536",
    }
)


def test_remote_storage_that_stumbles_is_asked_again(tmp_path, source, storage):
    server = storage(lambda n: 503 if n % 3 == 0 else 200)
    run = Doomed(tmp_path, *words(server.name), faults=[REMOTE])
    assert run.ended() == 0, run.said
    assert next(server.count) > 6
    assert np.array_equal(read(tmp_path / "out.tif"), read(source))


def test_remote_storage_that_fails_ends_a_run_that_can_go_on(tmp_path, source, storage):
    order = words((server := storage(lambda n: 200)).name)
    whole = Doomed(tmp_path, *order, faults=[REMOTE])
    assert whole.ended() == 0, whole.said
    (tmp_path / "out.tif").unlink()
    needed, server.count = next(server.count), itertools.count(1)
    server.status = lambda n: 500 if n > 0.8 * needed else 200
    run = Doomed(tmp_path, *order, faults=[REMOTE])
    assert run.ended() == 1
    assert len(run.said) == 1
    assert "cannot be read" in run.said[0]
    assert not (tmp_path / "out.tif").exists()
    server.status = lambda n: 200
    goes_on(tmp_path, order, read(source))


# --- two runs -----------------------------------------------------------------------------------


def wait(here: Path, until: Path) -> None:
    """Say by the file ``here`` that this run has come so far, and go on when ``until`` is there."""
    here.touch()
    while not until.exists():
        time.sleep(0.01)


def test_a_second_run_is_refused_and_the_first_ends_well(tmp_path, source):
    first = hit(
        tmp_path, source, Fault("compute", 60, partial(wait, tmp_path / "here", tmp_path / "on"))
    )
    while not (tmp_path / "here").exists():
        assert first.process.is_alive(), first.said
        time.sleep(0.01)
    other = tmp_path / "other"
    other.mkdir()
    order = words(source, "-o", str(tmp_path / "out.tif"))
    second = Doomed(other, *order)
    assert second.ended() == 1
    assert len(second.said) == 1
    assert "another run is writing here" in second.said[0]
    (tmp_path / "on").touch()
    assert first.ended() == 0
    assert np.array_equal(read(tmp_path / "out.tif"), read(source))


def test_the_lock_of_a_killed_run_is_free(tmp_path, source):
    first = hit(tmp_path, source, Fault("compute", 60, partial(time.sleep, 60)))
    while not parts_of(tmp_path):
        time.sleep(0.01)
    first.signal(signal.SIGKILL)
    first.ended()
    goes_on(tmp_path, words(source), read(source))


@pytest.mark.parametrize("more", [[], ["--sigma", "3"]])
def test_a_run_that_was_overtaken_does_not_write(tmp_path, source, more):
    """It had found no target; when it comes to hold the parts, another has been there."""
    fast = tmp_path / "fast"
    fast.mkdir()
    act = partial(wait, tmp_path / "here", fast / "report.json")
    slow = Doomed(tmp_path, *words(source, *more), faults=[Fault("hold", 1, act)])
    while not (tmp_path / "here").exists():
        assert slow.process.is_alive(), slow.said
        time.sleep(0.01)
    assert Doomed(fast, *words(source, "-o", str(tmp_path / "out.tif"))).ended() == 0
    before = (tmp_path / "out.tif").stat().st_mtime_ns
    assert slow.ended() == (1 if more else 0)
    assert not more or "exists and is not this result" in slow.said[0]
    assert (tmp_path / "out.tif").stat().st_mtime_ns == before
    assert not (tmp_path / ".out.tif.geoae").exists()


def test_many_runs_at_once(tmp_path, source):
    folders = [tmp_path / str(index) for index in range(6)]
    for folder in folders:
        folder.mkdir()
    runs = [Doomed(folder, *words(source, "-o", str(tmp_path / "out.tif"))) for folder in folders]
    codes = [run.ended() for run in runs]
    assert 0 in codes
    for run, code in zip(runs, codes, strict=True):
        assert code == 0 or (
            code == 1 and "another run is writing" in run.said[0] and len(run.said) == 1
        )
    assert np.array_equal(read(tmp_path / "out.tif"), read(source))
    assert not (tmp_path / ".out.tif.geoae").exists()


# --- parts that are not what they should be -----------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def resize(path: Path) -> None:
    write(path, np.zeros((2, 3, 5), np.uint16))


def retype(path: Path) -> None:
    write(path, read(path).astype(np.int16))


def swap(path: Path) -> None:
    other = sorted(path.parent.glob("slab-*.tif"))[1]
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def rename(path: Path) -> None:
    path.rename(path.with_name(path.name.replace("slab-00000", "slab-00009")))


def folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def link(path: Path) -> None:
    path.symlink_to(path.rename(path.parents[1] / "stdout"))


def old_name(path: Path) -> None:
    path.rename(path.with_name("slab-00000.tif"))


@pytest.mark.parametrize(
    "harm", [flip, truncate, resize, retype, rename, folder, link, old_name, swap, os.remove]
)
def test_a_part_that_is_not_as_it_was_written_is_made_again(tmp_path, source, harm):
    assert hit(tmp_path, source, Fault("compute", 60, die)).ended() == -signal.SIGKILL
    finished = sorted(tmp_path.glob(".out.tif.geoae/slab-*.*.tif"))
    assert len(finished) > 2
    harm(finished[0])
    goes_on(
        tmp_path, words(source), read(source), resumed=len(finished) - (2 if harm is swap else 1)
    )


@pytest.mark.parametrize(
    "content", [b"\xff\xfe garbage", b'{"fingerprint": "another"}', None, "folder"]
)
def test_parts_without_their_note_are_not_trusted(tmp_path, source, content):
    assert hit(tmp_path, source, Fault("compute", 60, die)).ended() == -signal.SIGKILL
    note = tmp_path / ".out.tif.geoae" / "order.json"
    note.unlink()
    if content == "folder":
        note.mkdir()
    elif content is not None:
        note.write_bytes(content)
    goes_on(tmp_path, words(source), read(source), resumed=0)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_in_place_of_the_folder_is_one_line(tmp_path, source, kind):
    place = tmp_path / ".out.tif.geoae"
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path)
    run = hit(tmp_path, source)
    assert run.ended() == 1
    assert len(run.said) == 1
    assert "is in the way" in run.said[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".out.tif.geoae",
        "stderr",
        "stdout",
    ]


def test_parts_survive_a_run_of_another_order_that_has_nothing_to_do(tmp_path, source):
    assert Doomed(tmp_path, *words(source)).ended() == 0
    order = words(source, "--sigma", "3", "--overwrite")
    assert Doomed(tmp_path, *order, faults=[Fault("compute", 60, die)]).ended() == -signal.SIGKILL
    finished = parts_of(tmp_path)
    again = Doomed(tmp_path, *words(source))
    assert again.ended() == 0
    assert again.report["status"] == "skipped"
    assert parts_of(tmp_path) == finished != {}


# --- the device runs out of memory --------------------------------------------------------------


def test_out_of_memory_on_the_device_halves_the_batch_and_the_run_goes_on(
    tmp_path, source, monkeypatch
):
    from geoae.models.torch_restorer import TorchRestorer

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
