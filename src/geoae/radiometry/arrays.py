"""Arrays of numpy and of torch alike, by the array API standard."""

from typing import Any

from array_api_compat import array_namespace

from geoae.types import DeviceArray

__all__ = ["exact_type"]


def exact_type(pixels: DeviceArray) -> Any:
    """Return the type that holds sums of ``pixels`` well: float64 for 32-bit and wider types,
    float32 otherwise. It is one of the library of ``pixels``.
    """
    xp = array_namespace(pixels)
    return xp.float32 if pixels.dtype.itemsize <= 2 else xp.float64
