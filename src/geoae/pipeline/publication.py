"""The last step of a restoration: assemble the parts, check the file, and give it its name."""

import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from geoae.audit.fidelity import compare
from geoae.diagnosis.noise.level import estimate_noise
from geoae.errors import InputError, RejectedError
from geoae.pipeline.fingerprint import ALGORITHM, fingerprint_of
from geoae.pipeline.preparation.prepared import Prepared
from geoae.pipeline.upload import refuse_store, upload
from geoae.radiometry.backscatter import has_log, hide_zeros
from geoae.raster.dataset import open_raster
from geoae.raster.geotiff import assemble
from geoae.raster.parts import PartStore
from geoae.raster.scene import Scene
from geoae.raster.sidecars import publish, remove_draft, write_aux
from geoae.raster.tags import with_history
from geoae.raster.target import refuse_target
from geoae.system.files import file_name, is_local
from geoae.system.memory import allocate_small_pieces, release_memory

__all__ = ["CheckResult", "check", "publish_result", "refuse_unusable"]


@dataclass(frozen=True, eq=False, slots=True)
class CheckResult:
    """Figures of an output that passed its check."""

    sigma: list[float]
    """Noise of each restored band in DN; 0 where none was known before."""
    bias: list[float]
    """Change of the mean of each restored band in DN."""


def publish_result(prepared: Prepared[Scene], store: PartStore) -> CheckResult:
    """Assemble the parts, check the result, and rename it to the target.

    Args:
        prepared: the job.
        store: store of the finished parts.

    Returns:
        Figures of the output.

    Raises:
        RejectedError: the result fails the check. It is kept as ``TARGET.rejected``, or in the
            folder for temporary files where the target is remote; the parts are removed.
        InputError: the source has changed meanwhile.
        OutputError: the result cannot be written.

    """
    scene, target = prepared.scene, prepared.target
    local = Path(target) if is_local(target) else store.folder / Path(target).name
    # Among the parts: what a killed run leaves of it goes with them.
    draft = store.folder / f"{local.stem[:32]}.{uuid.uuid4().hex[:8]}.part"
    parts = store.parts(list(prepared.work.plan.slabs())) if scene.bands else []
    try:
        profile, tags = str(prepared.options.profile), _tags(prepared)
        with allocate_small_pieces():
            assemble(
                scene.source,
                parts,
                scene.bands,
                draft,
                profile=profile,
                tags=tags,
                mistagged=scene.mistagged,
                classes=scene.has_classes,
            )
            release_memory()
            with open_raster(scene.source) as dataset:
                write_aux(dataset, draft)
            _refuse_changed_source(scene)
            found = check(prepared, str(draft))
        _refuse_changed_source(scene)
        publish(draft, local, scene.files)
    except RejectedError as error:
        _refuse_changed_source(scene)
        rejected = f"{target if is_local(target) else store.folder}.rejected"
        publish(draft, Path(rejected), scene.files)
        store.remove()  # the parts hold the same pixels
        raise RejectedError(f"{error} (kept as {rejected})") from error
    finally:
        remove_draft(draft)
    if not is_local(target):
        upload(local, scene.source, target)
    return found


def _refuse_changed_source(scene: Scene) -> None:
    if scene.has_changed():
        raise InputError(
            f"{scene.source}: has changed while it was restored; run again once it stays as it is"
        )


def refuse_unusable(prepared: Prepared[Scene]) -> None:
    """Refuse a scene or a target that cannot be used, before the work rather than after it.

    Args:
        prepared: the job.

    Raises:
        OutputError: nothing can be written to the target.
        InputError: the scene cannot be restored as asked.

    """
    job, target = prepared.job, prepared.target
    refuse_target(job.source, target)
    refuse_store(job.source, target)
    if job.strict and prepared.scene.losses:
        raise InputError(f"{prepared.scene.losses[0]}; or restore it without --strict")
    if prepared.unknown:
        raise InputError(prepared.unknown)


def check(prepared: Prepared[Scene], written: str) -> CheckResult:
    """Compare an output with its source, and estimate its noise.

    The noise is estimated as if it were constant and not clipped, which takes half the time.

    Args:
        prepared: the job.
        written: the output, under its final or a temporary name.

    Returns:
        Figures of the output.

    Raises:
        RejectedError: more than the noise has changed.
        OutputError: the output cannot be read.

    """
    scene, corrections, speckle = prepared.scene, prepared.work.corrections, prepared.work.speckle
    size = scene.height, scene.width
    if speckle is None:
        found = compare(scene, written, prepared.target, lambda read: corrections.wrap(read, *size))
        found.refuse_bias(prepared.told.sigma)
    else:
        kind = speckle.kind
        found = compare(
            scene,
            written,
            prepared.target,
            lambda read: corrections.wrap(hide_zeros(kind, read, *size), *size),
            speckle.linear,
        )
        # Its mean was kept on this very sample: there is no noise to allow for.
        found.refuse_bias(np.zeros(len(scene.bands)))
    if fingerprint_of(written) != prepared.fingerprint:
        raise RejectedError(
            f"{prepared.target}: does not hold the fingerprint of this run; run again"
        )
    samples = found.samples
    if speckle is not None:
        positive = [(pixels, mask & has_log(speckle.kind, pixels)) for pixels, mask in samples]
        samples = speckle.sample_to_log(positive)
    if not samples:
        return CheckResult([], found.bias.tolist())
    # Where noise could not be told from texture before, it cannot be told from it now.
    left = estimate_noise(samples, prepared.facts.between, restored=True)
    sigma = np.where(prepared.facts.sigma > 0, left, 0.0)
    return CheckResult(sigma.tolist(), found.bias.tolist())


def _tags(prepared: Prepared[Scene]) -> dict[str, str]:
    """Return the provenance for the output's metadata domain GEOAE."""
    restorer = prepared.work.restorer
    options = prepared.options.model_dump_json(exclude={"description", "model"}, exclude_none=True)
    tags = {
        "FINGERPRINT": prepared.fingerprint,
        "ORDER": prepared.request_digest,
        "VERSION": version("geoae"),
        "ALGORITHM": str(ALGORITHM),
        "MODEL": restorer.name,
        "MODEL_DIGEST": restorer.digest,
        "SETTING": restorer.setting,
        "SOURCE": file_name(prepared.job.source),
        "SOURCE_IDENTITY": prepared.scene.identity,
        "RECIPE": file_name(prepared.job.recipe or "none"),
        "OPTIONS": options,
        "BANDS": ",".join(map(str, prepared.scene.bands)),
        "SIGMA": ",".join(f"{sigma:.6g}" for sigma in prepared.facts.sigma),
        "SLOPE": ",".join(f"{slope:.6g}" for slope in prepared.facts.slope),
    }
    if prepared.work.speckle is not None:
        tags["UNIT"] = prepared.unit  # of SIGMA and SLOPE
    sharpening = prepared.work.corrections.sharpening
    if sharpening is not None:
        tags["MTF"] = f"{sharpening.mtf:.3g}"
    if prepared.work.corrections.digest:
        lines = prepared.work.corrections.describe(prepared.scene.bands)
        tags["CORRECTIONS"] = "; ".join(lines)
        tags["CORRECTIONS_DIGEST"] = prepared.work.corrections.digest
    return with_history(tags, prepared.history)
