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

    from geoae.pipeline.diagnose import Diagnosis
    from geoae.pipeline.report import RestoreReport
    from geoae.verification.run import VerifyReport

__all__ = ["GeoaeError", "diagnose", "restore", "verify"]


def restore(source: str, target: str | None = None, **options: Any) -> "RestoreReport":
    """Restore one scene.

    The warnings of the report are also issued as Python warnings.

    Args:
        source: scene to restore: anything GDAL opens by name.
        target: file to write; by default ``NAME_restored.tif`` beside the source.
        **options: the fields of ``geoae.pipeline.job.Job``: model, sigma (DN or "auto"), psd,
            steps, speckle, sharpen, device, precision, recipe, tile, overlap, batch_size, bands,
            nodata, tta, profile, overwrite, fresh, strict.

    Returns:
        What the run did, in figures.

    Raises:
        RecipeError: an option is unknown or wrong.
        GeoaeError: the base of this and all other errors of geoae.

    """
    import warnings

    from geoae.pipeline.job import Job
    from geoae.pipeline.run import run

    job = Job.checked(source=str(source), target=None if target is None else str(target), **options)
    return run(job, on_warning=lambda text: warnings.warn(text, stacklevel=4))


def diagnose(source: "str | Path", **options: Any) -> "Diagnosis":
    """Find what a scene carries besides its signal: lost lines, stripes, noise, blur and more.

    Args:
        source: scene: anything GDAL opens by name.
        **options: ``bands`` and ``nodata``, as for ``restore``.

    Returns:
        Findings, each with kind, band, strength, place, evidence, confidence, and what can be done.

    Raises:
        GeoaeError: the scene or an option cannot be used.

    """
    from geoae.pipeline.diagnose import diagnose as look
    from geoae.pipeline.job import Job

    return look(Job.checked(source=str(source), **options))


def verify(
    model: "str | Path | Callable[[Any], Any]", scene: "str | Path | None" = None, **terms: Any
) -> "VerifyReport":
    """Measure the promises of the pipeline with a model: tiled equals whole, no bias, and so on.

    A torch module is verified in evaluation mode.

    Args:
        model: a shipped model's name, a model folder, or a callable from pixels ``(B, C, H, W)``
            float32 to pixels of that shape. The callable gets torch tensors if it is a module or if
            ``tensors=True``, else numpy arrays.
        scene: a raster, whose middle is used; by default a synthetic scene.
        **terms: ``nodata``, a value of invalid pixels that the scene does not declare; for a model
            of geoae ``device`` and ``precision``, as for ``restore``. For a
            callable, required: ``channels`` that it takes at once, ``multiple`` by which height and
            width must be divisible, ``halo`` in pixels beyond which an input changes nothing;
            optional: ``returns``, "restored" pixels or the "residual" to subtract; ``span``, the
            values for dark and bright, by default ``(0.0, 1.0)``; ``tensors``.

    Returns:
        A report: ``passed`` says whether every check passed, ``checks`` holds the figures.

    Raises:
        GeoaeError: a check could not be run at all.

    """
    from geoae.verification.run import verify as run

    return run(model, scene, **terms)


def __getattr__(name: str) -> str:
    """Read ``geoae.__version__`` from the installed package when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module 'geoae' has no attribute {name!r}")
    from importlib.metadata import version

    return version("geoae")
