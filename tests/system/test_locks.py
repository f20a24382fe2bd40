import errno
import fcntl
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from geoae.errors import BusyError
from geoae.system.locks import hold, hold_folder

LOCKLESS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL]
HOLDER = """
import sys, time
from pathlib import Path
from tests.system.test_locks import lock_nothing
import fcntl
fcntl.flock = lock_nothing(int(sys.argv[2]))
from geoae.system.locks import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def lock_nothing(number: int):
    """``flock`` of a file system without locks."""

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.fixture(params=[None, *LOCKLESS], ids=lambda number: errno.errorcode.get(number, "locks"))
def system(request, monkeypatch):
    """File systems with locks, and without."""
    if request.param:
        monkeypatch.setattr(fcntl, "flock", lock_nothing(request.param))
    return request.param


@pytest.mark.usefixtures("system")
def test_a_lock_has_one_holder_at_a_time(tmp_path):
    for _ in range(2):
        with hold(tmp_path / "lock"):
            with (
                pytest.raises(
                    BusyError, match="another run is writing here; wait for it or stop it"
                ),
                hold(tmp_path / "lock"),
            ):
                pass
            assert (tmp_path / "lock").exists()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("system", LOCKLESS, indirect=True)
def test_a_file_system_without_locks_is_silent(tmp_path, system):
    with hold(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("number", LOCKLESS)
def test_a_lock_goes_with_its_process(tmp_path, monkeypatch, number):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock"), str(number)]
    monkeypatch.setattr(fcntl, "flock", lock_nothing(number))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), hold(tmp_path / "lock"):
            pass
        process.kill()
    with hold(tmp_path / "lock"):
        pass


def test_a_lock_of_another_machine_says_what_to_remove(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lock_nothing(errno.ENOLCK))
    (tmp_path / "lock.held").write_text("4242\nnode-7\n")
    with (
        pytest.raises(
            BusyError, match=r"or remove .*lock\.held if it was killed on another machine"
        ),
        hold(tmp_path / "lock"),
    ):
        pass


def test_a_lock_that_cannot_be_made_is_no_other_run(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lock_nothing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"), hold(tmp_path / "lock"):
        pass


@pytest.mark.usefixtures("system")
def test_a_lock_that_cannot_be_given_back_is_no_failure(tmp_path, monkeypatch):
    with hold(tmp_path / "lock"):
        monkeypatch.setattr(fcntl, "flock", lock_nothing(errno.EIO))
        monkeypatch.setattr(os, "close", lock_nothing(errno.EIO))
    monkeypatch.undo()


def open_files() -> set[Path]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(entry.readlink())
    return found


def keep_open_files(monkeypatch) -> None:
    """As on a share: a file that is open is not removed."""
    real = os.unlink

    def unlink(path, *, dir_fd=None):
        folder = Path.cwd() if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}").readlink()
        if folder / path in open_files():
            raise OSError(errno.EBUSY, "Device or resource busy", path)
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.usefixtures("system")
def test_a_folder_in_which_nothing_is_left_goes(tmp_path, monkeypatch, share):
    if share:
        keep_open_files(monkeypatch)
    with hold_folder(tmp_path / "a", "lock"):
        pass
    with pytest.raises(ZeroDivisionError), hold_folder(tmp_path / "b", "lock"):
        raise ZeroDivisionError
    with hold_folder(tmp_path / "c", "lock"):
        (tmp_path / "c" / "part").write_text("")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_the_folder_of_another_holder_stays(tmp_path):
    with hold_folder(tmp_path / "a", "lock"):
        with pytest.raises(BusyError), hold_folder(tmp_path / "a", "lock"):
            pass
        assert (tmp_path / "a" / "lock").exists()
