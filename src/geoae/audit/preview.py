"""A scene for the eye: a small picture, or a visual COG of full resolution with 8 bits.

Both are stretched for display. They are files of their own, never a source of data.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from geoae.audit.display import Display, DisplayReader, encode_image
from geoae.audit.quicklook import GAP, draw_comparison
from geoae.audit.stretch import WHITE, Stretch
from geoae.audit.visual import write_visual
from geoae.diagnosis.sampling import sample
from geoae.errors import OutputError
from geoae.radiometry.validity.nodata import find_fill, is_measured, read_border
from geoae.raster.checks.validate import read_error
from geoae.raster.dataset import STRICT, one_line
from geoae.raster.sidecars import publish
from geoae.raster.target import refuse_target
from geoae.system.files import flush, flush_folder, is_local, rename
from geoae.system.gdal_errors import CPLE_BaseError
from geoae.tiling.window import Window
from geoae.types import Mask, Pixels

__all__ = ["SIZE", "Preview", "preview"]

# Largest side of a picture in pixels, unless another is asked for.
SIZE = 1024
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
VISUALS = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a preview shows."""

    bands: tuple[int, ...]
    """Numbers of the bands that are shown, from 1 on."""
    is_empty: bool
    """Whether nothing is seen, since no pixel of it is valid."""


def preview(
    source: str,
    target: Path,
    *,
    bands: tuple[int, ...] | None = None,
    nodata: float | int | None = None,
    size: int | None = None,
    restored: str | None = None,
    overwrite: bool = False,
) -> Preview:
    """Show a scene as a picture (PNG, JPEG) or as a visual COG, by the suffix of the target.

    The contrast of each band is stretched from the 1st to the 99th percentile of the valid pixels
    in a sample of the scene; a value that looks like undeclared nodata does not count, and is shown
    like any other. A picture is decimated. A visual COG has all pixels in 8 bits, the georeference
    of the scene, an alpha band for pixels that are invalid in all shown bands, and tags in the
    domain ``GEOAE_VISUAL``. The target appears only when it is complete.

    Args:
        source: anything GDAL opens by name.
        target: file to write.
        bands: 1-based bands for red, green and blue, or one for grey; by default as
            ``Display.choose`` finds them.
        nodata: value of pixels that are not measured, whatever the file declares.
        size: largest side of the picture in pixels; by default ``SIZE``.
        restored: a restored output of the scene. The picture then shows the middle of both at full
            resolution, and their difference times three, side by side.
        overwrite: whether to replace a target that exists.

    Returns:
        The bands that are shown, and whether there is anything to see.

    Raises:
        InputError: a scene cannot be read or has no such bands.
        OutputError: the target cannot be written, exists, or cannot show what is asked for.

    """
    _refuse_suffix(target, is_picture=size is not None or restored is not None)
    for name in filter(None, (source, restored)):
        refuse_target(name, target, ("GTiff", "COG", *PICTURES.values()))
    _refuse_place(target, overwrite)
    display = Display.open(source, bands, nodata) if bands else Display.choose(source, None, nodata)
    try:
        # Beside the target, since a file can only be renamed on its own file system.
        with TemporaryDirectory(prefix=f".{target.stem[:32]}.", dir=target.parent) as folder:
            draft = Path(folder) / f"draft{target.suffix}"
            is_empty = not _write(display, draft, target, restored, size or SIZE)
    except (RasterioError, CPLE_BaseError, OSError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise OutputError(
            f"{target}: cannot be written ({why}); free disk space, or choose another -o"
        ) from error
    return Preview(display.bands, is_empty)


def _write(display: Display, draft: Path, target: Path, restored: str | None, size: int) -> bool:
    """Write a preview as a draft, and give it the name of the target once it is complete.

    Returns:
        Whether any pixel of it is valid.

    """
    if target.suffix.lower() in VISUALS:
        with display.reader() as reader:
            shows = write_visual(display, reader, _fit_stretch(display, reader), draft)
        publish(draft, target, display.scene.files)
        return shows
    driver = PICTURES[target.suffix.lower()]
    image, shows = _draw_picture(display, restored, size, has_alpha=driver == "PNG")
    draft.write_bytes(encode_image(image, driver))
    flush(draft)
    rename(draft, target)
    flush_folder(target.parent)
    return shows


def _refuse_suffix(target: Path, is_picture: bool) -> None:
    suffix = target.suffix.lower()
    if suffix not in (*PICTURES, *VISUALS) or not is_local(str(target)):
        raise OutputError(
            f"{target}: is no name of a preview; name a picture on a disk, .png or .jpg, or a"
            " visual COG, .tif"
        )
    if is_picture and suffix in VISUALS:
        raise OutputError(
            f"{target}: a visual COG shows all pixels of one scene; for --size and --compare name a"
            " picture, .png or .jpg"
        )


def _refuse_place(target: Path, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        raise OutputError(f"{target}: exists; choose another -o, or give --overwrite")
    if not target.parent.is_dir():
        raise OutputError(f"{target.parent}: no such folder; create it or choose another -o")


def _fit_stretch(display: Display, reader: DisplayReader) -> Stretch:
    """Fit the stretch to a sample of the scene, without what looks like undeclared nodata."""
    size = display.scene.height, display.scene.width
    samples = sample(reader.read, *size)
    if fill := find_fill(samples, read_border(reader.read, *size)):
        samples = [(pixels, mask & (pixels != fill.value)) for pixels, mask in samples]
    return Stretch.fit(samples)


def _draw_picture(
    display: Display, restored: str | None, side: int, has_alpha: bool
) -> tuple[NDArray[np.uint8], bool]:
    """Draw the picture, ``(band, row, col)``, and tell whether any pixel is valid; those that are
    not are white or transparent.
    """
    if restored:
        image = draw_comparison(display, restored, (side - 2 * GAP) // 3)
        return image, bool((image != WHITE).any())
    with display.reader() as reader:
        pixels, valid = _read_decimated(display, reader, side)
        image = _fit_stretch(display, reader).to_bytes(pixels, valid)
    if not valid.all() and has_alpha:
        image = np.concatenate([image, valid[None] * np.uint8(255)])
    return image, bool(valid.any())


def _read_decimated(display: Display, reader: DisplayReader, side: int) -> tuple[Pixels, Mask]:
    """Read all of a scene with at most ``side`` pixels a side.

    Returns:
        Pixels ``(band, row, col)`` in DN, and where any band is valid, ``(row, col)``.

    """
    scene, dataset = display.scene, reader.reader.dataset
    shrink = max(1.0, max(scene.height, scene.width) / side)
    shape = len(display.bands), *(max(1, round(n / shrink)) for n in (scene.height, scene.width))
    # GDAL does not know of the user's nodata value, and would mix it into averages.
    how = Resampling.average if scene.fill is None else Resampling.nearest
    try:
        with rasterio.Env(**STRICT):
            pixels = dataset.read(list(display.bands), out_shape=shape, resampling=how)
            valid = is_measured(pixels, scene.fill)
            if scene.masked:
                valid &= dataset.read_masks(list(display.bands), out_shape=shape) != 0
    except RasterioError as error:
        whole = Window(0, 0, scene.height, scene.width)
        raise read_error(scene.source, dataset, whole, error) from error
    return pixels, np.logical_or.reduce(valid, axis=0)
