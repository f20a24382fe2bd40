import json
import os

import dask
import pytest

from geoae.archive import workers as archive_workers
from geoae.archive.workers import use_workers
from geoae.errors import ClusterError, RecipeError
from geoae.pipeline.distributed import active_client


def use(scheduler, workers=None, device="cpu"):
    return use_workers(scheduler, workers, device, print)


def test_by_default_this_process_works_alone():
    with use(None):
        assert active_client() is None


def test_a_cluster_has_workers_of_its_own():
    with (
        pytest.raises(RecipeError, match="tcp://nowhere:1: has its own workers; leave out"),
        use("tcp://nowhere:1", workers=3),
    ):
        pass


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}"])
def test_a_file_of_no_scheduler_is_one_line(tmp_path, content):
    path = tmp_path / "scheduler.json"
    if content is not None:
        path.write_text(content)
    with (
        pytest.raises(ClusterError, match=r"scheduler\.json: is no file of a Dask scheduler"),
        use(str(path)),
    ):
        pass


def test_a_file_names_the_scheduler(tmp_path, monkeypatch):
    monkeypatch.setattr("geoae.pipeline.distributed.ANSWER_SECONDS", 0.5)
    path = tmp_path / "scheduler.json"
    path.write_text(json.dumps({"address": "tcp://127.0.0.1:1"}))
    with (
        pytest.raises(ClusterError, match=r"tcp://127\.0\.0\.1:1: no Dask scheduler answers"),
        use(str(path)),
    ):
        pass


def test_more_workers_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(archive_workers, "_count_gpus", lambda: 2)
    with pytest.raises(RecipeError, match=r"--workers 3: .* 2 GPU\(s\)"), use("local", 3, "auto"):
        pass


@pytest.fixture
def cores(monkeypatch):
    """A machine of 8 cores and 64 GiB, on which the user has set nothing."""
    monkeypatch.setattr("dask.system.CPU_COUNT", 8)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 64 << 30)
    for name in ("OMP_NUM_THREADS", "GDAL_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("workers", "threads"), [(1, "8"), (2, "4"), (3, "2"), (8, "1"), (9, "1")])
def test_workers_share_the_cores(cores, workers, threads):
    given = archive_workers._environment(workers)
    assert {given[f"{name}_NUM_THREADS"] for name in ("OMP", "MKL", "GDAL")} == {threads}


def test_what_the_user_has_set_stays(cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("GDAL_CACHEMAX", "512")
    given = archive_workers._environment(2)
    assert (given["OMP_NUM_THREADS"], given["GDAL_NUM_THREADS"]) == ("3", "3")
    assert given["GDAL_CACHEMAX"] == "512"


def test_how_many_by_default(cores, monkeypatch):
    assert archive_workers._choose_number(None, gpus=0) == 8
    assert archive_workers._choose_number(None, gpus=2) == 2
    assert archive_workers._choose_number(5, gpus=0) == 5
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 7 << 30)
    assert archive_workers._choose_number(None, gpus=0) == 3
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 1 << 30)
    assert archive_workers._choose_number(None, gpus=0) == 1


def torch_threads() -> int:
    import torch

    return torch.get_num_threads()


@pytest.mark.slow
def test_local_workers_are_processes_with_threads_of_their_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with use("local", workers=2):
        client = active_client()
        pids = client.run(os.getpid).values()
        assert len({*pids, os.getpid()}) == 3
        assert set(client.nthreads().values()) == {1}
        assert set(client.run(torch_threads).values()) == {1}
        assert set(client.run(os.getenv, "MALLOC_MMAP_MAX_").values()) == {"0"}
        assert "MALLOC_MMAP_MAX_" not in os.environ
        profiled = client.run(dask.config.get, "distributed.worker.profile.enabled")
        assert set(profiled.values()) == {False}
    assert dask.config.get("distributed.worker.profile.enabled")
    assert active_client() is None


@pytest.mark.slow
def test_local_workers_have_a_gpu_each(monkeypatch):
    monkeypatch.setattr(archive_workers, "_count_gpus", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with use("local", device="auto"):
        client = active_client()
        assert set(client.run(os.getenv, "CUDA_VISIBLE_DEVICES").values()) == {"3", "5"}
        found = client.scheduler_info()["workers"].values()
        assert [one["resources"] for one in found] == [{"GPU": 1}] * 2
