"""Find which dimensions of an xarray array are bands, rows and columns, and which hold scenes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self

import xarray
from rioxarray.exceptions import RioXarrayError

from geoae.errors import InputError

__all__ = ["Dimensions"]

# Names of rows and columns beside those that rioxarray knows or was told
# (`da.rio.set_spatial_dims`).
ROWS = ("y", "Y", "lat", "latitude", "northing", "row", "line")
COLS = ("x", "X", "lon", "longitude", "easting", "col", "sample")
BANDS = {"band", "bands", "variable", "wavelength", "wavelengths", "channel", "channels"}
DATES = {"time", "times", "date", "dates", "t", "datetime", "valid_time", "year", "month", "season"}


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The dimensions of one array by their meaning."""

    each: tuple[Hashable, ...]
    """Dimensions whose entries are scenes of their own, such as dates."""
    band: Hashable | None
    """The dimension of the bands; None where the array is a single band."""
    rows: Hashable
    """The dimension that runs down the scene."""
    cols: Hashable
    """The dimension that runs across the scene."""

    @classmethod
    def of(cls, array: xarray.DataArray) -> Self:
        """Find the dimensions of an array by their names.

        Args:
            array: with dimensions in any order, such as (band, y, x), (time, band, y, x) or (lat,
                lon, band).

        Returns:
            The dimensions by meaning.

        Raises:
            InputError: no rows or columns were found, or it is not clear which dimension holds the
                bands.

        """
        rows, cols = _space(array)
        others = [name for name in array.dims if name not in (rows, cols)]
        named = [name for name in others if str(name).lower() in BANDS]
        unnamed = [name for name in others if name not in named and not _is_date(array, name)]
        candidates = named or unnamed
        if len(candidates) > 1:
            raise InputError(
                f"{array.name or 'DataArray'}: of the dimensions {_join_names(array.dims)} more"
                f" than one could hold the bands ({_join_names(candidates)}); rename that one to"
                " band"
            )
        band = candidates[0] if candidates else None
        return cls(tuple(name for name in others if name != band), band, rows, cols)

    @property
    def order(self) -> tuple[Hashable, ...]:
        """All dimensions as the engine takes them: scenes, band, rows, columns."""
        return (*self.each, *([] if self.band is None else [self.band]), self.rows, self.cols)


def _space(array: xarray.DataArray) -> tuple[Hashable, Hashable]:
    """Names of rows and columns."""
    try:
        return array.rio.y_dim, array.rio.x_dim
    except RioXarrayError:
        rows = [name for name in ROWS if name in array.dims]
        cols = [name for name in COLS if name in array.dims]
    if len(rows) != 1 or len(cols) != 1:
        raise InputError(
            f"{array.name or 'DataArray'}: rows and columns are not among its dimensions"
            f" ({_join_names(array.dims)}), so it cannot be restored; rename them to y and x, or"
            " name them with da.rio.set_spatial_dims(x_dim=..., y_dim=...)"
        )
    return rows[0], cols[0]


def _is_date(array: xarray.DataArray, name: Hashable) -> bool:
    by_value = name in array.coords and array.coords[name].dtype.kind in "Mm"
    return by_value or str(name).lower() in DATES


def _join_names(names: Sequence[Hashable]) -> str:
    return ", ".join(map(str, names)) or "none"
