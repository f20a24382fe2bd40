"""Which bands of an array hold flags or classes: by attributes and names now, by values later."""

import warnings
from collections.abc import Hashable, Sequence

import numpy as np
import xarray

from geoae.radiometry.band_names import interpret_name
from geoae.radiometry.validity.classes import FEW_LEVELS, count_levels, is_classes
from geoae.types import Mask, Pixels

__all__ = [
    "CURE",
    "band_names",
    "is_class_variable",
    "named_classes",
    "select_measurements",
    "warn",
]

CURE = "to restore it, name it in bands (in a Dataset: ds[NAME].geoae.restore(bands=[1]))"
CF_FLAGS = {"flag_values", "flag_masks", "flag_meanings"}


def band_names(array: xarray.DataArray, band: Hashable | None, count: int) -> list[str]:
    """Tell what the bands are called: by their coordinate, by its title as STAC readers give it,
    or by rioxarray's ``long_name``; empty where nothing says.

    Args:
        array: the array.
        band: its dimension of bands, or None where it has none.
        count: number of bands.

    """
    if band is not None and band in array.coords and array.coords[band].dtype.kind in "OU":
        return [str(name) for name in array.coords[band].values]
    names = array.attrs.get("long_name", "")
    listed = [names] if isinstance(names, str) else list(names)
    if len(listed) == count:
        return [str(name) for name in listed]
    return [str(array.name)] if count == 1 and array.name else [""] * count


def is_class_variable(array: xarray.DataArray) -> bool:
    """Whether a variable holds classes or flags: by CF's attributes, its name or its long name."""
    if CF_FLAGS & set(array.attrs):
        return True
    said = [
        interpret_name(str(name)) for name in (array.name, array.attrs.get("long_name")) if name
    ]
    return any(one.kind and one.sure for one in said)


def warn(line: str) -> None:
    """Issue a Python warning; from a worker of a Dask cluster, to the client too."""
    try:
        from distributed.worker import warn as send
    except ImportError:
        warnings.warn(line, stacklevel=3)
    else:
        send(line)


def named_classes(source: str, names: Sequence[str]) -> list[int]:
    """Find the bands whose names alone say that they are no measurements, and warn of each.

    Args:
        source: name for messages.
        names: the name of each band, empty where there is none.

    Returns:
        Their indices, from 0.

    """
    found = {index: interpret_name(name) for index, name in enumerate(names)}
    classes = {index: one.kind for index, one in found.items() if one.kind and one.sure}
    for index, kind in classes.items():
        text = f"{source}: band {index + 1} ({names[index]}) is copied: {kind}; {CURE}"
        warnings.warn(text, stacklevel=3)
    return list(classes)


def select_measurements(
    source: str, names: Sequence[str], samples: Sequence[tuple[Pixels, Mask]]
) -> list[int]:
    """Find the bands whose values are not those of flags or classes, and warn of the others.

    Args:
        source: name for messages.
        names: what each band of ``samples`` is called.
        samples: windows ``(band, row, col)`` in DN, and which of their pixels are valid.

    Returns:
        Indices of the measured bands.

    """
    measured = []
    for index, name in enumerate(names):
        values = [np.where(mask[index], pixels[index], np.nan) for pixels, mask in samples]
        hint = interpret_name(name).kind
        if is_classes(values) or (hint and count_levels(values) <= FEW_LEVELS):
            warn(
                f"{source}: band {name or index + 1} is copied, since its values look like flags or"
                f" classes; {CURE}"
            )
        else:
            measured.append(index)
    return measured
