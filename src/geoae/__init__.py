"""geoae restores noisy satellite scenes: a GeoTIFF in, a GeoTIFF out, nothing else changed.

import geoae
report = geoae.restore("scene.tif", "scene_restored.tif")
"""

from typing import TYPE_CHECKING, Any

from geoae.errors import GeoaeError

if TYPE_CHECKING:
    from geoae.report import RestoreReport

__all__ = ["GeoaeError", "restore"]


def restore(source: str, target: str | None = None, **options: Any) -> "RestoreReport":
    """Restore the scene ``source`` into ``target`` (by default ``NAME_restored.tif`` beside it).

    ``options`` are the fields of ``geoae.job.Job``: model, sigma (DN or "auto"), device, precision,
    recipe, tile, overlap, batch_size, bands, profile, overwrite, fresh. An unknown one raises
    ``RecipeError``, like everything that goes wrong a subclass of ``geoae.GeoaeError``. What the
    report warns of is also issued as a Python warning.
    """
    import warnings

    from geoae.job import Job, run

    job = Job.checked(source=str(source), target=None if target is None else str(target), **options)
    return run(job, on_warning=lambda text: warnings.warn(text, stacklevel=4))


def __getattr__(name: str) -> str:
    """``geoae.__version__``, read from the installed package when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module 'geoae' has no attribute {name!r}")
    from importlib.metadata import version

    return version("geoae")
