"""geoae restores noisy satellite scenes: a GeoTIFF in, a GeoTIFF out, nothing else changed.

import geoae
report = geoae.restore("scene.tif", "scene_restored.tif")
"""

from typing import TYPE_CHECKING, Any

from geoae.errors import GeoaeError
from geoae.system import forks  # noqa: F401  knows what the process had loaded before a fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geoae.pipeline.report import RestoreReport
    from geoae.verification.run import VerifyReport

__all__ = ["GeoaeError", "restore", "verify"]


def restore(source: str, target: str | None = None, **options: Any) -> "RestoreReport":
    """Restore the scene ``source`` into ``target`` (by default ``NAME_restored.tif`` beside it).

    ``options`` are the fields of ``geoae.pipeline.job.Job``: model, sigma (DN or "auto"), device,
    precision, recipe, tile, overlap, batch_size, bands, tta, profile, overwrite, fresh. An unknown
    one raises ``RecipeError``, like everything that goes wrong a subclass of ``geoae.GeoaeError``.
    What the report warns of is also issued as a Python warning.
    """
    import warnings

    from geoae.pipeline.job import Job
    from geoae.pipeline.run import run

    job = Job.checked(source=str(source), target=None if target is None else str(target), **options)
    return run(job, on_warning=lambda text: warnings.warn(text, stacklevel=4))


def verify(
    model: "str | Path | Callable[[Any], Any]", scene: "str | Path | None" = None, **terms: Any
) -> "VerifyReport":
    """Measure the contracts of the pipeline with ``model``: tiled equals whole, no bias, and so on.

    ``model``: a shipped model's name, a model folder, or any callable from pixels
    ``(B, C, H, W)`` float32 to as many: on numpy arrays, or on torch tensors if it is a module or
    ``tensors=True``. ``scene``: a raster, whose middle is used; by default a synthetic one.

    ``terms`` of a model of geoae: ``device`` and ``precision``, as for ``restore``. Of a callable,
    required: ``channels`` it takes at once, ``multiple`` that height and width must be divisible
    by, ``halo`` in pixels beyond which nothing counts; optional: ``returns``, "restored" pixels or
    "residual" (what is taken away); ``span``, the values it takes for dark and bright, by default
    ``(0.0, 1.0)``. A module is verified in evaluation mode.

    The report's ``passed`` says whether every check passed, ``checks`` holds the figures. Raises
    ``GeoaeError`` where a check could not be run at all.
    """
    from geoae.verification.run import verify as run

    return run(model, scene, **terms)


def __getattr__(name: str) -> str:
    """``geoae.__version__``, read from the installed package when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module 'geoae' has no attribute {name!r}")
    from importlib.metadata import version

    return version("geoae")
