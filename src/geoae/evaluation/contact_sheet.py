"""A sheet with crops of every scene: noisy, restored and clean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoae.evaluation.measure import Row
from geoae.evaluation.reference import Reference
from geoae.types import Floats

__all__ = ["Sheet"]

# Side of a crop in pixels, of its panel in inches, and the height of a title.
SIDE = 144
INCHES, TITLE = 2.0, 0.25
# The longer side of a sheet in pixels, at least: a line of few small panels cannot be read.
LONG = 1200


@dataclass
class Sheet:
    """Crops of all scenes under one noise level."""

    sigma: float
    """The noise level, in 255ths of a band's span."""
    models: Sequence[str]
    """Names of the models, in the order in which they were measured."""
    crops: dict[str, dict[str, NDArray[np.float32]]] = field(default_factory=dict)
    """Crops in 0..1 by scene and contender; filled by ``take``."""

    def take(self, truth: Reference, sigma: float, contender: str, pixels: Floats) -> None:
        """Keep the middle of a result, where it belongs to the noise level of this sheet.

        Args:
            truth: the clean scene.
            sigma: noise level in 255ths of a band's span.
            contender: name of the model or baseline.
            pixels: its result ``(band, row, col)`` in DN.

        """
        if sigma != self.sigma:
            return
        row = self.crops.setdefault(truth.name, {"clean": _stretch_crop(truth, truth.pixels)})
        row[contender] = _stretch_crop(truth, pixels)

    def draw(self, rows: Sequence[Row], path: Path) -> None:
        """Draw one line for each scene: noisy, its best baseline, each model, clean.

        Crops of few scenes are enlarged.

        Args:
            rows: figures of the evaluation.
            path: image to write.

        """
        from matplotlib.figure import Figure

        psnr = {(row.scene, row.contender): row.psnr for row in rows if row.sigma == self.sigma}
        lines = {name: self._columns(name, crops, psnr) for name, crops in self.crops.items()}
        widest = max(len(columns) for columns in lines.values())
        size = INCHES * widest, (INCHES + TITLE) * len(lines)
        resolution = SIDE / INCHES
        resolution *= math.ceil(LONG / (resolution * max(size)))  # a whole number of times
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(lines), widest, squeeze=False)
        for axes, (name, columns) in zip(grid, lines.items(), strict=True):
            for axis in axes:
                axis.set_axis_off()
            for axis, contender in zip(axes, columns, strict=False):
                axis.imshow(
                    self.crops[name][contender],
                    cmap="gray",
                    vmin=0,
                    vmax=1,
                    interpolation="nearest",
                )
                told = f" {psnr[name, contender]:.2f} dB" if (name, contender) in psnr else ""
                axis.set_title(
                    f"{contender}{told}" if axis is not axes[0] else f"{name}{told}", fontsize=6
                )
        figure.savefig(
            path, dpi=resolution, pil_kwargs={"quality": 92} if path.suffix == ".jpg" else None
        )

    def _columns(
        self, name: str, crops: dict[str, NDArray[np.float32]], psnr: dict[tuple[str, str], float]
    ) -> list[str]:
        peers = [
            contender for contender in crops if contender not in {"noisy", "clean", *self.models}
        ]
        best = sorted(peers, key=lambda contender: psnr[name, contender])[-1:]
        return ["noisy", *best, *(model for model in self.models if model in crops), "clean"]


def _stretch_crop(truth: Reference, pixels: Floats) -> NDArray[np.float32]:
    """Stretch the middle of ``pixels`` to 0..1 over the truth's span, ``(row, col)`` or ``(row,
    col, 3)``.

    Invalid pixels are white.
    """
    bands = [2, 1, 0] if len(pixels) >= 4 else list(range(len(pixels)))[:3]
    bands = bands if len(bands) == 3 else bands[:1]
    height, width = truth.valid.shape
    row, col = max((height - SIDE) // 2, 0), max((width - SIDE) // 2, 0)
    window = (slice(row, row + SIDE), slice(col, col + SIDE))
    span = np.where(truth.span > 0, truth.span, 1)[bands, None, None]
    units = (pixels[bands][:, *window] - truth.low[bands, None, None]) / span
    shown = np.where(truth.valid[window], np.clip(units, 0, 1), 1).astype(np.float32)
    return np.moveaxis(shown, 0, -1) if len(bands) == 3 else shown[0]
