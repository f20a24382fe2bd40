"""Digests that say whether an output is the result of a job."""

import hashlib
from pathlib import Path

from geoae.catalog.s3 import find_object, is_s3
from geoae.models.restorer import Restorer
from geoae.pipeline.recipe import Recipe
from geoae.radiometry.psd import digest_psd
from geoae.raster.scene import Scene
from geoae.raster.tags import read_tags
from geoae.system.files import is_local
from geoae.tiling.plan import TilePlan

__all__ = [
    "ALGORITHM",
    "fingerprint_of",
    "hash_texts",
    "is_geoae_output",
    "plan_text",
    "request_digest",
]

# Raised whenever the same order would give other pixels; tests/pipeline/test_fingerprint.py says
# what else a raise takes.
ALGORITHM = 6
# The options of geoae 0.1. Digests name these even where they are unset, as the digests in its
# outputs do.
FIRST_OPTIONS = ("bands", "overlap", "profile", "ramp", "sigma", "tile", "tta")


def request_digest(options: Recipe, scene: Scene, restorer: Restorer, precision: str) -> str:
    """Compute the digest of a request: scene, model and resolved options.

    For a local file it decides the result, since the scene's identity covers size and time of
    change. For a remote source it does not: its pixels may change without a sign.

    Args:
        options: resolved options.
        scene: the source.
        restorer: the model.
        precision: precision that was asked for.

    Returns:
        SHA-256, hexadecimal.

    """
    network = (restorer.digest, restorer.multiple, restorer.halo, restorer.tile)
    decided = (ALGORITHM, scene.identity, scene.bands, network, _set_options(options), precision)
    return hash_texts(*map(repr, decided))


def hash_texts(*texts: str) -> str:
    """Compute the digest of facts in the form of geoae 0.1, which hashed the ``repr`` of a tuple.

    Only plain values (numbers, strings, lists and tuples of them) may be given as their ``repr``.
    The ``repr`` of an object changes with the names of its class and fields.
    """
    return hashlib.sha256(f"({', '.join(texts)})".encode()).hexdigest()


def _set_options(options: Recipe) -> list[tuple[str, object]]:
    """Return the options by name. Options newer than geoae 0.1 count only where they are set.

    So a new option that nobody uses changes no digest.
    """
    given = options.model_dump(exclude={"description", "model"}, exclude_defaults=True)
    if options.psd is not None:
        given["psd"] = digest_psd(options.psd)  # a file may change
    return sorted((dict.fromkeys(FIRST_OPTIONS) | given).items())


def plan_text(plan: TilePlan) -> str:
    """Format the numbers of ``plan`` as geoae 0.1 did, whatever its classes and fields are named
    today.
    """
    rows, cols = (
        f"Axis(size={axis.size}, tile={axis.tile}, overlap={axis.overlap}, pad={axis.pad},"
        f" count={axis.count})"
        for axis in (plan.rows, plan.cols)
    )
    return f"TilePlan(rows={rows}, cols={cols}, halo={plan.halo}, multiple={plan.multiple})"


def fingerprint_of(target: str) -> str | None:
    """Read the fingerprint in ``target``; empty where it has none, None where there is no file."""
    if is_local(target) and not Path(target).exists():
        return None
    tags = read_tags(target)
    if tags is None and not is_local(target) and not (is_s3(target) and find_object(target)):
        return None
    return (tags or {}).get("FINGERPRINT", "")


def is_geoae_output(target: str) -> bool:
    """Whether ``target`` is an output of geoae, which a flow may replace by a newer one."""
    return "FINGERPRINT" in (read_tags(target) or {})
