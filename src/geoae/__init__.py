"""geoae restores noisy satellite scenes: a GeoTIFF in, a GeoTIFF out, nothing else changed.

import geoae
report = geoae.restore("scene.tif", "scene_restored.tif")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoae.report import RestoreReport

__all__ = ["restore"]


def restore(source: str, target: str | None = None, **options: Any) -> "RestoreReport":
    """Restore the scene ``source`` into ``target`` (by default ``NAME_restored.tif`` beside it).

    ``options`` are the fields of ``geoae.job.Job``: model, sigma (DN or "auto"), device, precision,
    recipe, tile, overlap, batch_size, bands, profile, overwrite, fresh. An unknown one raises
    ``RecipeError``, like everything that goes wrong a subclass of ``geoae.errors.GeoaeError``.
    """
    from geoae.job import Job, run

    return run(Job.checked(source=str(source), target=None if target is None else str(target), **options))
