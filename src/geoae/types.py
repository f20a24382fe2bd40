"""Types of arrays that many modules share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "DeviceArray", "Floats", "Mask", "Nodata", "Pixels", "Samples"]

# Pixels in the dtype of their scene, mostly in DN.
Pixels = NDArray[Any]
# True where a pixel is valid.
Mask = NDArray[np.bool_]
# The value or values that mark pixels without a measurement; None where there is none.
Nodata = float | int | tuple[float | int, ...] | None
# Windows of one scene: pixels and mask ``(band, row, col)`` of each.
Samples = Sequence[tuple[Pixels, Mask]]
# What networks take and give.
Array = NDArray[np.float32]
# An array of numpy on the host, or one of torch on a device: what models compute with. The array
# API standard has no type yet.
DeviceArray = Any
# For exact arithmetic.
Floats = NDArray[np.float64]
