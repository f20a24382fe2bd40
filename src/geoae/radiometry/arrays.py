"""Arrays of numpy and of torch alike, by the array API standard."""

from typing import Any

from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from geoae.types import DeviceArray

__all__ = ["as_like", "exact_type"]


def as_like(values: NDArray[Any], like: DeviceArray, dtype: Any = None) -> DeviceArray:
    """Bring values of the host to the library and the device of another array.

    Args:
        values: any values.
        like: an array where they are needed.
        dtype: type of the result, of the library of ``like``; None for that of ``values``.

    """
    return array_namespace(like).asarray(values, dtype=dtype, device=device(like))


def exact_type(pixels: DeviceArray) -> Any:
    """Return the type that holds sums of ``pixels`` well: float64 for 32-bit and wider types,
    float32 otherwise. It is one of the library of ``pixels``.
    """
    xp = array_namespace(pixels)
    return xp.float32 if pixels.dtype.itemsize <= 2 else xp.float64
