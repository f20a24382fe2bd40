"""Find the black point of radar products that were stretched and clipped at 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoae.types import Floats, Mask, Pixels, Samples

__all__ = ["find_offset"]

# Part of a band that is 0 beyond which its zeros are the dark half of the speckle, which was
# clipped, and not its rare end.
MOST_ZERO = 0.02
# Side of the blocks whose means and deviations tell the offset, the part of a block that may be 0,
# the number of groups of like mean that the blocks are put into, the blocks that a group needs, and
# the largest offset over the median.
BLOCK, MOST_DARK, GROUPS, FEWEST_BLOCKS, MOST_OFFSET = 12, 0.5, 10, 10, 4.0


def find_offset(samples: Samples, band: int) -> float:
    """What to add to a band, so that its speckle is proportional to the signal.

    A product of 8 bits is often stretched from a black point, below which it is clipped. Its
    speckle is proportional to the signal only after the point is put back: the deviation of a calm
    block is then proportional to its mean plus the offset, and is 0 where the line through both
    says so. Clipping itself makes dark ground calmer, so that the offset is less than the black
    point; it is the one with which the noise of the clipped pixels is most alike everywhere.

    Args:
        samples: pixels in DN and mask of each window, ``(band, row, col)``, as of ``hide_zeros``.
        band: index of the band.

    Returns:
        The offset in DN; 0 where few pixels are 0, and where there are too few blocks.

    """
    windows = [(pixels[band], mask[band]) for pixels, mask in samples]
    zeros = sum(int(np.count_nonzero(pixels[mask] == 0)) for pixels, mask in windows)
    valid = sum(int(mask.sum()) for _, mask in windows)
    if zeros <= MOST_ZERO * valid:
        return 0.0
    blocks = np.concatenate([_cut_blocks(pixels, mask) for pixels, mask in windows])
    blocks = blocks[np.mean(blocks == 0, axis=1) <= MOST_DARK]
    if len(blocks) < GROUPS * FEWEST_BLOCKS:
        return 0.0
    mean, deviation = blocks.mean(axis=1), blocks.std(axis=1)
    groups = np.array_split(np.argsort(mean), GROUPS)
    # Texture makes deviations larger, so that the median of a group is nearer to the speckle.
    means = [float(np.median(mean[group])) for group in groups]
    deviations = [float(np.median(deviation[group])) for group in groups]
    slope, start = np.polyfit(means, deviations, 1)
    most = MOST_OFFSET * float(np.median(mean))
    return float(np.clip(start / slope, 0, most)) if slope > 0 else most


def _cut_blocks(pixels: Pixels, mask: Mask) -> Floats:
    """Cut a band ``(row, col)`` into its whole blocks that are valid, ``(block, pixel)``."""
    rows, cols = (size // BLOCK * BLOCK for size in pixels.shape)

    def cut(values: NDArray[Any]) -> NDArray[Any]:
        rooms = values[:rows, :cols].reshape(rows // BLOCK, BLOCK, cols // BLOCK, BLOCK)
        return rooms.swapaxes(1, 2).reshape(-1, BLOCK * BLOCK)

    return cut(pixels)[cut(mask).all(axis=1)].astype(np.float64)
