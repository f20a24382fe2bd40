"""``da.geoae.restore(...)``: a lazy DataArray on Dask, equal to what the command writes.

Importing this module registers the accessor with xarray.
"""

import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import dask.array
import numpy as np
import rioxarray  # noqa: F401  registers da.rio, which knows an array's nodata
import xarray

from geoae.accessor.bands import band_names, is_class_variable, named_classes
from geoae.accessor.dimensions import Dimensions
from geoae.accessor.lazy import LazyRestoration
from geoae.errors import InputError, RecipeError
from geoae.pipeline.job import Job

__all__ = ["GeoaeAccessor", "GeoaeDatasetAccessor"]

# What xarray notes of the chunks of a store: `to_zarr` and `to_netcdf` would hold to them.
OLD_CHUNKS = {"chunks", "preferred_chunks", "chunksizes", "contiguous", "original_shape"}


@xarray.register_dataarray_accessor("geoae")
class GeoaeAccessor:
    """Restoration of a DataArray, pixels in DN.

    Rows and columns are those that rioxarray knows, or common names such as (lat, lon). One more
    dimension holds the bands; dates and other dimensions hold scenes, each restored by itself.
    """

    def __init__(self, array: xarray.DataArray) -> None:
        self._array = array

    def restore(self, **options: Any) -> xarray.DataArray:
        """Restore the array lazily.

        Noise and map to model units are one node of the graph, drawn from windows all over the
        scene; each slab is another. Bands that hold flags or classes, by their names or by their
        values, are copied; a warning says so, of values when they are computed.

        Args:
            **options: as for ``geoae.restore``, without those about files.

        Returns:
            The restored array: same dimensions, coordinates, attributes, dtype and nodata. The
            attributes ``STATISTICS_*`` and the chunks noted in ``encoding`` are left out: they are
            no longer true.

        Raises:
            InputError: dimensions that are not understood, no pixels, or complex data.
            RecipeError: options that do not fit.

        """
        array = self._array
        job = Job.checked(source=str(array.name or "DataArray"), **options)
        _check_dtype(job.source, array)
        dimensions = Dimensions.of(array)
        if not array.size:
            raise InputError(
                f"{job.source}: has no pixels {dict(array.sizes)}; give an array that has some"
            )
        ordered = array.transpose(*dimensions.order)
        bands = 1 if dimensions.band is None else array.sizes[dimensions.band]
        pixels = dask.array.asarray(ordered.data).reshape(-1, bands, *ordered.shape[-2:])
        names = band_names(array, dimensions.band, bands)
        if job.bands:
            copied = []
        elif bands == 1 and is_class_variable(array):
            copied = named_classes(job.source, ["flags"])
        else:
            copied = named_classes(job.source, names)
        lazy = LazyRestoration.of(
            job,
            pixels.shape[1:],
            array.dtype,
            declared=_nodata(array),
            copied=copied,
            names=names,
        )
        restored = dask.array.stack([lazy.build(scene) for scene in pixels])
        # Stacking forgets the byte order.
        restored = restored.reshape(ordered.shape).astype(array.dtype)
        result = ordered.copy(data=restored).transpose(*array.dims)
        return _without_stale_notes(result)


@xarray.register_dataset_accessor("geoae")
class GeoaeDatasetAccessor:
    """Restoration of a Dataset whose variables are bands, as odc-stac and xarray hand them out."""

    def __init__(self, dataset: xarray.Dataset) -> None:
        self._dataset = dataset

    def restore(self, **options: Any) -> xarray.Dataset:
        """Restore each variable that has rows and columns, lazily; the others stay as they are.

        Variables of one grid, type and nodata are restored together, as bands of one scene.

        Args:
            **options: as for ``geoae.restore``, without those about files and bands. ``sigma``
                holds for every variable.

        Returns:
            The dataset with the same variables, coordinates and attributes.

        Raises:
            InputError: no variable can be restored.
            RecipeError: options that do not fit.

        """
        name = str(self._dataset.encoding.get("source", "Dataset"))
        if options.get("bands") is not None:
            raise RecipeError(
                f"{name}: bands are its variables; choose some, as in ds[['red',"
                " 'nir']].geoae.restore()"
            )
        groups = _variables_by_grid(self._dataset)
        if not groups:
            raise InputError(
                f"{name}: has no variable with rows and columns of real numbers; give one that has"
            )
        restored: dict[Hashable, xarray.DataArray] = {}
        for variables in groups:
            restored |= _restore_together([self._dataset[one] for one in variables], options)
        return self._dataset.assign(restored)


def _check_dtype(source: str, array: xarray.DataArray) -> None:
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise InputError(
            f"{source}: {array.dtype} data cannot be restored; convert it to integers or floats"
            " first"
        )


def _variables_by_grid(dataset: xarray.Dataset) -> list[list[Hashable]]:
    """Names of the variables that can be restored; those in one list are bands of one scene."""
    groups: dict[Hashable, list[Hashable]] = {}
    for name, array in dataset.data_vars.items():
        if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or array.ndim < 2:
            continue
        try:
            dimensions = Dimensions.of(array)
        except InputError:
            continue
        grid = (dimensions, array.shape, array.dtype.str, str(array.rio.nodata))
        # A variable with bands of its own is a scene of its own.
        groups.setdefault(grid if dimensions.band is None else name, []).append(name)
    return list(groups.values())


def _restore_together(
    arrays: Sequence[xarray.DataArray], options: dict[str, Any]
) -> dict[Hashable, xarray.DataArray]:
    """Restore variables of one grid as the bands of one scene; return them by name."""
    if len(arrays) == 1 or Dimensions.of(arrays[0]).band is not None:
        return {array.name: array.geoae.restore(**options) for array in arrays}
    measured = [array for array in arrays if not is_class_variable(array)]
    for array in arrays:
        if is_class_variable(array):
            warnings.warn(
                f"Dataset: {array.name} is copied, since its name or attributes are those of flags,"
                f" classes or angles; to restore it: ds[{array.name!r}].geoae.restore(bands=[1])",
                stacklevel=4,
            )
    if not measured:
        return {}
    scene = xarray.DataArray(
        dask.array.stack([dask.array.asarray(array.data) for array in measured]),
        dims=("band", *measured[0].dims),
        name=", ".join(str(array.name) for array in measured),
    ).assign_coords(
        {name: coord for name, coord in measured[0].coords.items() if name in measured[0].dims}
    )
    scene = scene.assign_coords(band=[str(array.name) for array in measured])
    scene.rio.write_nodata(measured[0].rio.nodata, inplace=True)
    restored = scene.geoae.restore(**options)
    return {
        array.name: _without_stale_notes(array.copy(data=band.data.astype(array.dtype)))
        for array, band in zip(measured, restored, strict=True)
    }


def _nodata(array: xarray.DataArray) -> float | None:
    """Return the value that marks invalid pixels, in the type of the array."""
    nodata = array.rio.nodata
    return None if nodata is None else np.asarray(nodata).astype(array.dtype).item()


def _without_stale_notes(array: xarray.DataArray) -> xarray.DataArray:
    """Remove facts that no longer hold: statistics of the old pixels, chunks of their store."""
    array.attrs = {
        key: value for key, value in array.attrs.items() if not str(key).startswith("STATISTICS_")
    }
    array.encoding = {key: value for key, value in array.encoding.items() if key not in OLD_CHUNKS}
    return array
