"""geoae restores noisy satellite scenes: a GeoTIFF in, a GeoTIFF out, nothing else changed.

import geoae
report = geoae.restore("scene.tif", "scene_restored.tif")
"""

from typing import TYPE_CHECKING, Any

from geoae.errors import GeoaeError
from geoae.system import forks  # noqa: F401  knows what the process had loaded before a fork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from geoae.archive.report import BatchProgress, BatchReport
    from geoae.catalog.sources import SortKey
    from geoae.pipeline.diagnose import Diagnosis
    from geoae.pipeline.report import RestoreReport
    from geoae.verification.run import VerifyReport

__all__ = ["GeoaeError", "batch", "diagnose", "restore", "verify"]


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

    job = Job.checked(
        source=_name(source), target=None if target is None else str(target), **options
    )
    return run(job, on_warning=lambda text: warnings.warn(text, stacklevel=4))


def batch(
    sources: "str | Path | Sequence[str | Path]",
    target: "str | Path",
    *,
    order: "SortKey" = "name",
    limit: int | None = None,
    retries: int = 2,
    dry_run: bool = False,
    on_progress: "Callable[[BatchProgress], None]" = lambda progress: None,
    **options: Any,
) -> "BatchReport":
    """Restore the scenes of an archive that are not done. One that fails does not stop the others.

    If a ``dask.distributed.Client`` is active, each of its workers restores a scene at a time; a
    scene that is alone is spread over all of them. Workers must see sources and outputs under the
    same names.

    Args:
        sources: a folder, which is searched with its subfolders; a glob; a scene; a text file
            ``NAME.txt`` that lists scenes; a STAC catalogue or collection; or several of these.
        target: folder of the outputs, which mirror the folders of the sources.
        order: which scenes come first: "name", "newest", "oldest" or "smallest".
        limit: most scenes to restore; None for all.
        retries: how often a scene is tried again after an error that may pass.
        dry_run: whether only to say what would be done.
        on_progress: called after each scene that was tried.
        **options: as for ``restore``.

    Returns:
        The outcome of each scene; ``require()`` raises where one has failed.

    Raises:
        RecipeError: an option is unknown or wrong.
        GeoaeError: there is no scene, the model cannot be used, or the cluster was lost.

    """
    import os

    from geoae.archive.batch import BatchOptions, restore_archive

    given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    chosen = BatchOptions(order, limit, retries, dry_run)
    return restore_archive(
        [os.fspath(one) for one in given], os.fspath(target), chosen, options, on_progress
    )


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

    return look(Job.checked(source=_name(source), **options))


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


def _name(source: object) -> str:
    """Return the name of a scene; raise ``RecipeError`` where an array is given instead."""
    import os

    from geoae.errors import RecipeError

    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    raise RecipeError(
        f"source: is of type {type(source).__name__}, not the name of a scene; an array of xarray"
        " has array.geoae.restore()"
    )


def __getattr__(name: str) -> str:
    """Read ``geoae.__version__`` from the installed package when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module 'geoae' has no attribute {name!r}")
    from importlib.metadata import version

    return version("geoae")
