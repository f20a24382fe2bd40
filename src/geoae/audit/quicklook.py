"""A scene before and after restoration, and their difference, as one small image."""

import base64

import numpy as np
from numpy.typing import NDArray

from geoae.audit.display import Display, encode_image
from geoae.audit.stretch import Stretch, to_bytes
from geoae.errors import InputError

__all__ = ["draw_comparison", "draw_middle", "draw_quicklook"]

SIDE = 224
GAP = 4
AMPLIFIED = 3


def draw_quicklook(source: str, target: str, bands: tuple[int, ...]) -> str:
    """Draw the middle of source and output at full resolution, and their difference times three.

    Args:
        source: the scene.
        target: its restored output.
        bands: 1-based bands. Red, green and blue among them are shown, or the first as grey; see
            ``Display.choose``.

    Returns:
        A JPEG of some 40 kB as a ``data:`` URL, which needs no file server; white where invalid.

    """
    return _as_url(draw_comparison(Display.choose(source, bands), target, SIDE))


def draw_comparison(before: Display, target: str, side: int) -> NDArray[np.uint8]:
    """Draw the middle of a scene, of its restored output, and their difference, side by side.

    All have the full resolution and the stretch of the scene before. The difference, times three,
    lies around grey.

    Args:
        before: the scene and its bands.
        target: its restored output, whose bands of the same numbers are shown.
        side: largest height and width of each of the three, in pixels.

    Returns:
        Image ``(band, row, col)``; white where either scene is invalid.

    Raises:
        InputError: the output cannot be opened, or has another size.

    """
    after = Display.open(target, before.bands, before.scene.fill)
    sizes = [(one.scene.height, one.scene.width) for one in (before, after)]
    if sizes[0] != sizes[1]:
        (height, width), (rows, columns) = sizes
        raise InputError(
            f"{target}: has {rows} x {columns} px, but {before.scene.source} has {height} x"
            f" {width}; compare a scene with its own output"
        )
    window = before.middle(side, side)
    with before.reader() as first, after.reader() as second:
        (noisy, valid), (restored, also) = first.read(window), second.read(window)
    stretch = Stretch.fit([(noisy, valid)])
    change = (noisy.astype(np.float64) - restored) / stretch.spans
    units = [stretch.to_units(noisy), stretch.to_units(restored), 0.5 + AMPLIFIED * change]
    gap = np.full((len(noisy), window.height, GAP), 255, np.uint8)
    panels = [part for one in units for part in (to_bytes(one, valid & also), gap)]
    return np.concatenate(panels[:-1], axis=2)


def draw_middle(source: str, bands: tuple[int, ...]) -> str:
    """Draw the middle of a scene at full resolution.

    Args:
        source: the scene.
        bands: 1-based bands, as for ``draw_quicklook``.

    Returns:
        A JPEG as a ``data:`` URL; white where invalid.

    """
    display = Display.choose(source, bands)
    with display.reader() as reader:
        pixels, valid = reader.read(display.middle(3 * SIDE, 3 * SIDE))
    return _as_url(to_bytes(Stretch.fit([(pixels, valid)]).to_units(pixels), valid))


def _as_url(image: NDArray[np.uint8]) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(encode_image(image, 'JPEG')).decode()}"
