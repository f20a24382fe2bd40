"""Choose some of many places, evenly spread."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["pick_evenly"]


def pick_evenly(count: int, step: float) -> NDArray[np.intp]:
    """Pick about one of ``step`` places.

    Args:
        count: number of places.
        step: distance between two that are picked; 1 or more, and no whole number in general.

    Returns:
        Their indices, ascending, the first one 0; none where ``count`` is 0.

    """
    picked = np.arange(0, count, step).astype(np.intp)
    # Rounding may bring one more, behind the last place.
    return picked[picked < count]
