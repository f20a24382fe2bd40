"""Types of arrays that many modules share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Floats", "Mask", "Pixels"]

# Pixels in the dtype of their scene, mostly in DN.
Pixels = NDArray[Any]
# True where a pixel is valid.
Mask = NDArray[np.bool_]
# Input and output of networks.
Array = NDArray[np.float32]
# For exact arithmetic.
Floats = NDArray[np.float64]
