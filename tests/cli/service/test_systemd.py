import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from geoae.cli.service.systemd import write_units
from geoae.cli.service.worker import Service
from geoae.errors import OutputError
from tests.support.logs import logged

UNITS = ["geoae-server.service", "geoae-worker.service"]
API = "http://127.0.0.1:4211/api"


@pytest.fixture
def environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "GEOAE_", "DASK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


def written(folder: Path, api: str = API, **places: str) -> dict[str, str]:
    with logged() as said:
        write_units(Service.at(api, places), 2, folder)
    paths = sorted(folder.iterdir())
    assert [line for line in said if line.startswith("# written")] == [
        f"# written: {path}" for path in paths
    ]
    return {path.name: path.read_text() for path in paths}


def values(text: str, key: str) -> list[list[str]]:
    """Words of each line ``key=``, as systemd takes them: its quotes are a shell's, % and $ are
    doubled.
    """
    lines = [
        line.removeprefix(f"{key}=") for line in text.splitlines() if line.startswith(f"{key}=")
    ]
    return [
        [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)] for line in lines
    ]


def test_server_and_worker(environment, tmp_path):
    units = written(tmp_path / "units", GEOAE_INBOX=str(tmp_path / "inbox"))
    assert sorted(units) == UNITS
    server, worker = (units[name] for name in UNITS)
    geoae = [sys.executable, "-m", "geoae"]
    assert values(server, "ExecStart") == [
        [*geoae, "server", "--host", "127.0.0.1", "--port", "4211"]
    ]
    assert values(worker, "ExecStart") == [[*geoae, "worker", "--api", API, "--limit", "2"]]
    assert values(worker, "ExecStartPre") == [
        [*geoae, "deploy", "--no-server", "--no-worker", "--api", API, "--limit", "2"]
    ]
    assert values(worker, "After") == [[UNITS[0]]]
    for unit in (server, worker):
        told = dict(word.split("=", 1) for [word] in values(unit, "Environment"))
        assert told["GEOAE_INBOX"] == str(tmp_path / "inbox")
        assert told["PREFECT_API_URL"] == API
        assert values(unit, "Restart") == [["always"]]


def test_of_a_server_elsewhere_only_a_worker_is_written(environment, tmp_path):
    units = written(tmp_path / "units", "http://server.example:4200/api")
    assert list(units) == UNITS[1:]
    assert UNITS[0] not in units[UNITS[1]]


def test_no_password_is_written(environment, tmp_path, monkeypatch):
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY", "GEOAE_API_PASSWORD"):
        monkeypatch.setenv(name, "hush")
    units = written(tmp_path / "units")
    assert not any("hush" in text for text in units.values())
    assert all("EnvironmentFile=-%E/geoae.env" in text for text in units.values())


def test_the_commands_of_a_worker_need_nothing_but_its_unit(environment, tmp_path, said, api):
    worker = written(tmp_path / "units", api)[UNITS[1]]
    bare = {name: os.environ[name] for name in ("PYTHONPATH", "SAID")}
    bare |= dict(word.split("=", 1) for [word] in values(worker, "Environment"))
    [[home]] = values(worker, "WorkingDirectory")
    for command in [*values(worker, "ExecStartPre"), *values(worker, "ExecStart")]:
        subprocess.run(command, cwd=home, env=bare, check=True)
    assert said()[0] == "work-pool create gpu --type process --overwrite"
    assert said()[-2:] == ["recover", "worker start --pool gpu --limit 2"]


ODD = 'in 100% of "cases" it\'s $HOME; a\\b'


@pytest.mark.parametrize("name", ["inbox", ODD])
def test_systemd_finds_nothing_wrong(environment, tmp_path, name):
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("systemd-analyze is not here")
    written(tmp_path / "units", GEOAE_INBOX=str(tmp_path / name))
    paths = [tmp_path / "units" / unit for unit in UNITS]
    home = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        [systemd, "verify", "--user", *paths], env=home, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_odd_folders_come_through(environment, tmp_path):
    worker = written(tmp_path / "units", GEOAE_INBOX=str(tmp_path / ODD))[UNITS[1]]
    told = dict(word.split("=", 1) for [word] in values(worker, "Environment"))
    assert told["GEOAE_INBOX"] == str(tmp_path / ODD)


def test_a_folder_that_cannot_be_written_is_told(environment, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_units(Service.at(API, {}), 1, tmp_path / "file" / "units")
