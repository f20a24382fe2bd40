"""A shard of an archive, a bounded number of its scenes: ``restore_shard``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prefect import flow
from prefect.runtime import flow_run

from flows.artifacts import show_outcomes
from flows.process import remember_process
from flows.restore import restore_scenes
from geoae.archive.failures import Failures
from geoae.archive.triage import DONE, Outcome, digest_options, is_done, job_below
from geoae.catalog.sources import SceneRef
from geoae.errors import ModelError
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.preparation.prepare import load_restorer
from geoae.system.files import is_local

__all__ = ["SHARD", "DoneScenes", "SharedOptions", "restore_refs", "restore_shard"]

# Most scenes of a shard unless a run says otherwise. Other runs of the pool wait for its end.
SHARD = 20


@dataclass(frozen=True, slots=True)
class SharedOptions:
    """What all scenes of an archive have in common. It can be sent to another process as JSON."""

    plain: Job
    """The job of each scene, without the scene."""
    target: str
    """Folder of the outputs."""
    options_digest: str
    """Digest of model and options, under which failures are recorded."""
    timeout: float
    """Seconds after which a scene is given up."""
    scheduler: str | None
    """Address of a Dask scheduler, or None."""

    def jobs(self, scenes: Iterable[SceneRef]) -> Iterator[tuple[SceneRef, Job]]:
        """Yield scenes with their jobs, made one by one."""
        return ((found, job_below(self.plain, self.target, found)) for found in scenes)


class DoneScenes:
    """Tells of one scene after the other whether it is done by now.

    Args:
        shared: what the scenes have in common.

    """

    def __init__(self, shared: SharedOptions) -> None:
        plain = shared.plain
        self._shared, self._options = shared, resolve_options(plain)
        self._restorer = load_restorer(ModelSpec.of(plain, self._options))
        self.options_digest = digest_options(plain, self._options, self._restorer)
        """Digest of model and options, as they are on this machine."""
        self.is_told = is_local(shared.target) and not plain.fresh
        """Whether this is told at all: not of outputs elsewhere, nor of those made anew."""

    def __contains__(self, found: SceneRef) -> bool:
        """Whether the output is there. For a scene elsewhere, that would take as long as it."""
        job = job_below(self._shared.plain, self._shared.target, found)
        told = self.is_told and is_local(job.source)
        return told and is_done(job, self._options, self._restorer)


def restore_refs(scenes: Iterable[SceneRef], shared: SharedOptions) -> list[Outcome]:
    """Restore scenes one after the other in this run; the outcome of each.

    Args:
        scenes: the scenes, which are taken one by one.
        shared: what they have in common.

    """
    return restore_scenes(
        shared.jobs(scenes),
        Failures.below(shared.target),
        shared.options_digest,
        shared.timeout,
        shared.scheduler,
    )


def _name() -> str:
    return f"{flow_run.parameters['label']}, {len(flow_run.parameters['scenes'])} scenes"


@flow(name="restore-shard", flow_run_name=_name, log_prints=True, persist_result=False)
def restore_shard(label: str, scenes: list[SceneRef], shared: SharedOptions) -> list[Outcome]:
    """Restore a share of an archive; its outcomes are a table of its own.

    It is a run inside that of the archive, or one of its deployment, on any worker of the pool.
    Then the run of the archive reads the table.

    Args:
        label: what the share is called.
        scenes: its scenes.
        shared: what they have in common.

    """
    remember_process()
    known = DoneScenes(shared)
    if known.options_digest != shared.options_digest:
        raise ModelError(
            f"{shared.plain.model or 'model'}: is another one on this machine than where the run of"
            " the archive looked through it, or geoae is; install the same on all workers"
        )
    done: list[Outcome] = []
    outcomes = restore_refs(_leave_out_done(scenes, shared, known, done), shared) + done
    show_outcomes(label, outcomes)
    return outcomes


def _leave_out_done(
    scenes: Iterable[SceneRef], shared: SharedOptions, known: DoneScenes, done: list[Outcome]
) -> Iterator[SceneRef]:
    """Yield scenes, but those that are done when their turn comes, of which ``done`` gets the
    outcomes: the run of the archive may have restored them.
    """
    for found, job in shared.jobs(scenes):
        if found in known:
            done.append(Outcome(found.source, str(job.target), "skipped", DONE))
        else:
            yield found
