"""The workers that restore an archive: those of a cluster that runs, or some of this machine."""

import json
import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from geoae.errors import ClusterError, RecipeError
from geoae.pipeline.distributed import use_cluster
from geoae.resources import require_extra
from geoae.system.memory import CACHE_MIB

__all__ = ["use_workers"]

LOCAL = "local"
# Memory in bytes that a worker of this machine should have, where their number is not given.
WORKER_MEMORY = 2 << 30


@contextmanager
def use_workers(
    scheduler: str | None,
    workers: int | None,
    device: str,
    on_warning: Callable[[str], None],
) -> Iterator[None]:
    """Use workers for the restorations inside the block.

    Args:
        scheduler: ``local`` starts workers on this machine; an address such as
            ``tcp://HOST:8786``, or a scheduler's file ``NAME.json``, names a cluster that runs;
            None is this process alone, or ``local`` where ``workers`` is given.
        workers: processes to start on this machine; None for one a GPU, or else one a core as far
            as memory allows.
        device: device of the model, as in a job.
        on_warning: called if a cluster has no workers yet.

    Raises:
        RecipeError: the two do not go together.
        ClusterError: no scheduler answers.

    """
    if scheduler is None and workers is None:
        yield
        return
    if scheduler in (None, LOCAL):
        cluster: Any = _start_workers(workers, device)
    elif workers is not None:
        raise RecipeError(
            f"{scheduler}: has its own workers; leave out --workers, or give --scheduler local"
        )
    else:
        cluster = use_cluster(_read_address(str(scheduler)), on_warning)
    with cluster:
        yield


def _read_address(scheduler: str) -> str:
    """Return the address of a scheduler, which may be in the file that the scheduler wrote."""
    if not scheduler.endswith(".json"):
        return scheduler
    try:
        return str(json.loads(Path(scheduler).read_text())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{scheduler}: is no file of a Dask scheduler; give the one that dask scheduler"
            " --scheduler-file wrote"
        ) from error


@contextmanager
def _start_workers(workers: int | None, device: str) -> Iterator[None]:
    """Start a cluster of processes on this machine, each of which restores one scene at a time."""
    require_extra("distributed", "distributed")
    import dask
    from distributed import Client, Nanny, Scheduler, SpecCluster

    gpus = 0 if device == "cpu" else _count_gpus()
    number = _choose_number(workers, gpus)
    pages = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}  # at 8787 is another's
    common = pages | {
        "nthreads": 1,
        "memory_limit": 0,  # geoae bounds its memory itself, and keeps it, which looks like a leak
        "silence_logs": logging.CRITICAL,
    }
    specs = {
        index: {"cls": Nanny, "options": common | _gpu_options(index, gpus)}
        for index in range(number)
    }
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0} | pages}
    environment = _environment(number)
    settings = {
        "distributed.nanny.pre-spawn-environ": environment,
        "logging.distributed": "critical",
        # Each wakes its process up to a hundred times a second, and stops the thread that restores.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
    }
    with dask.config.set(settings):
        with _keep_interrupts_from_children(), _keep_variables(environment):
            cluster = SpecCluster(specs, scheduler, silence_logs=logging.CRITICAL)
        with cluster, Client(cluster):
            yield


@contextmanager
def _keep_variables(names: Iterable[str]) -> Iterator[None]:
    """Keep variables of this process, in which Dask sets those of the workers that it starts."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _keep_interrupts_from_children() -> Iterator[None]:
    """Block SIGINT in the threads that the block starts, and in all processes that these start.

    Ctrl-C reaches every process of a terminal: the workers would each print a traceback, while this
    process ends them anyway.
    """
    resource_tracker.ensure_running()  # at its start, Python unblocks what is blocked
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _count_gpus() -> int:
    from geoae.models.torch_restorer import count_gpus

    return count_gpus()


def _choose_number(workers: int | None, gpus: int) -> int:
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    if gpus and workers is not None and workers > gpus:
        raise RecipeError(
            f"--workers {workers}: this machine has {gpus} GPU(s), each of which computes one scene"
            f" at a time; give at most {gpus}, or --device cpu"
        )
    return workers or gpus or max(1, min(CPU_COUNT, MEMORY_LIMIT // WORKER_MEMORY))


def _gpu_options(index: int, gpus: int) -> dict[str, Any]:
    """Return what gives a worker a GPU of its own."""
    if not gpus:
        return {}
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
    return {"resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": allowed.split(",")[index]}}


def _environment(workers: int) -> dict[str, str]:
    """Return variables with which workers share the cores, and keep memory for activations.

    Libraries read them when they are loaded. Those that the user has set stay.
    """
    from dask.system import CPU_COUNT

    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, CPU_COUNT // workers))
    defaults = {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "GDAL_NUM_THREADS": threads,
        # See tune_process of the command, which a worker is not.
        "OPENBLAS_NUM_THREADS": "1",
        "GDAL_CACHEMAX": str(CACHE_MIB),
        "GDAL_PAM_ENABLED": "YES",
        "CPL_LOG": os.devnull,
        "PROJ_DEBUG": "0",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
        "MALLOC_ARENA_MAX": "1",
    }
    return {name: os.environ.get(name, value) for name, value in defaults.items()}
