"""The picture of the demonstration: before and after, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoae.evaluation.demo.scene import DemoScene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

# The side of the scene is this many times that of the zoomed crop.
ZOOM = 5
AMPLIFIED = 3


def draw(
    path: Path,
    original: DemoScene,
    noisy: DemoScene,
    restored: DemoScene,
    figures: list[tuple[float, float]],
) -> None:
    """Draw noisy, restored, original and difference: the whole scene above, a crop below.

    Args:
        path: picture to write.
        original: the scene.
        noisy: the scene with noise.
        restored: the noisy scene, restored.
        figures: PSNR in dB and SSIM of the noisy and of the restored scene.

    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    before, after = (
        f"PSNR {decibel:.1f} dB, SSIM {similarity:.2f}" for decibel, similarity in figures
    )
    taken = noisy.pixels.astype(np.float64) - restored.pixels.astype(np.float64)
    panels = [
        (f"noisy.tif\n{before}", _stretch(original, noisy.pixels)),
        (f"restored.tif\n{after}", _stretch(original, restored.pixels)),
        ("scene.tif\nthe original", _stretch(original, original.pixels)),
        (f"noisy - restored\namplified {AMPLIFIED} times", _stretch(original, taken, AMPLIFIED)),
    ]
    rows, cols = _crop(panels[2][1], original.valid[0])
    height, width = original.pixels.shape[1:]
    with mpl.rc_context({"font.size": 13, "figure.dpi": 120}):
        figure = Figure(
            figsize=(14, 7 * height / width + 0.7), layout="constrained", facecolor="white"
        )
        for column, (title, image) in zip(figure.subplots(2, 4).T, panels, strict=True):
            _panel(column[0], image)
            _panel(column[1], image[rows, cols])
            column[0].set_title(title, linespacing=1.3)
            outline = (cols.start, rows.start), cols.stop - cols.start, rows.stop - rows.start
            column[0].add_patch(Rectangle(*outline, fill=False, edgecolor="gold", linewidth=1.6))
        figure.savefig(path)


def _panel(axes: "Axes", image: NDArray[np.float64]) -> None:
    axes.imshow(image, interpolation="nearest" if max(image.shape) < 256 else "antialiased")
    axes.set_axis_off()


def _stretch(
    original: DemoScene, pixels: NDArray[np.generic], amplified: float = 0.0
) -> NDArray[np.float64]:
    """Stretch pixels to ``(row, col, 3)`` in 0..1, white where invalid: three bands, or the first
    as grey.

    All panels share the original's 1..99 percentile stretch; a difference is ``amplified`` around
    grey.
    """
    bands = [0, 1, 2] if len(pixels) >= 3 else [0, 0, 0]
    image = []
    for band in bands:
        low, high = np.percentile(original.pixels[band][original.valid[band]], [1, 99])
        span = max(high - low, 1e-12)
        stretched = (
            0.5 + amplified * pixels[band] / span if amplified else (pixels[band] - low) / span
        )
        image.append(np.where(original.valid[band], np.clip(stretched, 0, 1), 1.0))
    return np.stack(image, axis=-1)


def _crop(image: NDArray[np.float64], valid: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Choose the crop with most valid pixels, and among those the one with most contrast."""
    height, width = (max(size // ZOOM, 1) for size in valid.shape)
    corners = [
        (slice(row, row + height), slice(col, col + width))
        for row in range(0, valid.shape[0] - height + 1, max(height // 2, 1))
        for col in range(0, valid.shape[1] - width + 1, max(width // 2, 1))
    ]
    return max(corners, key=lambda corner: (valid[corner].mean().round(2), image[corner].std()))
