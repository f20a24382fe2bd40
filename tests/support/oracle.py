"""Everything that rasterio can say of a raster, so that nothing can be lost unnoticed.

Of geoae this imports nothing: it is the oracle that outputs are held to.
"""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader, MemoryFile

__all__ = ["differences", "facts"]

# What an output need not share with its source, and why.
OF_THE_FILE = {
    "IMAGE_STRUCTURE": "how pixels are packed; the bits a pixel has are compared by themselves",
    "DERIVED_SUBDATASETS": "GDAL makes it up from the path",
    "SUBDATASETS": "paths of the pages of this very file",
    "LocationInfo": "GDAL makes it up from the path of a VRT",
    "TIFF": "offsets of blocks in this very file",
    "GEOAE": "provenance, which an output has and a source has not",
    "xml:VRT": "the text of a VRT, the source's only where that is a VRT",
    "_DEBUG_TIFF_": "GDAL's own",
}

# Tags that may differ, by domain and beginning of the key, with what an output says of a source
# that says the first.
MAY_DIFFER = {
    ("", "STATISTICS_"): "figures of pixels that have changed",
    ("", "METADATATYPE"): "by which kind of sidecar GDAL had come to know RPCs and IMD",
}
# Tags that a GeoTIFF says in other words: domain, key, the source's value (None: no such tag), the
# output's.
SAME = {
    # "Area" is what holds where nothing is said, and a GeoTIFF with a CRS always says one of the
    # two.
    ("", "AREA_OR_POINT", None, "Area"),
    # A tag of no characters is no tag to GDAL's writer.
    ("", "TIFFTAG_DOCUMENTNAME", "", None),
}


def _text(document: str) -> list[str]:
    """The words of an XML document, whose declaration and layout GDAL makes anew; a byte order mark
    may be spelt out.
    """
    return re.findall(r"[\w.-]+", re.sub(r"<\?xml\s[^>]*\?>|&#xFEFF;|\ufeff", "", document))


def _tags(dataset: DatasetReader, band: int) -> dict[tuple[int, str, str], object]:
    found: dict[tuple[int, str, str], object] = {}
    for space in {"", *dataset.tag_namespaces(band)} - set(OF_THE_FILE):
        for key, value in dataset.tags(band, ns=space or None).items():
            if not any(space == of and key.startswith(start) for of, start in MAY_DIFFER):
                found[band, space, key] = (
                    _text(f"{key}={value}") if space.startswith("xml:") else value
                )
    return found


def _epoch_and_axes(dataset: DatasetReader) -> list[bytes]:
    """Of the CRS what rasterio does not know."""
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        return re.findall(rb"<SRS([^>]*)>", bytes(memory.getbuffer()))


def facts(dataset: DatasetReader) -> dict[Any, Any]:
    """All but the pixels, by name; tags by band (0: all), domain and key."""
    bands = dataset.indexes
    found: dict[Any, Any] = {
        "shape": (dataset.count, *dataset.shape),
        "dtypes": dataset.dtypes,
        "nodata": repr(dataset.nodatavals),
        "crs": dataset.crs,
        "epsg": dataset.crs and dataset.crs.to_epsg(),
        "axes": _epoch_and_axes(dataset),
        "transform": tuple(dataset.transform),
        "rpcs": dataset.rpcs and dataset.rpcs.to_dict(),
        "gcps": [(p.row, p.col, p.x, p.y, p.z or 0.0, p.id, p.info) for p in dataset.gcps[0]],
        "gcps' crs": dataset.gcps[1],
        "descriptions": dataset.descriptions,
        "units": dataset.units,
        "scales": dataset.scales,
        "offsets": dataset.offsets,
        "colours": dataset.colorinterp,
        "mask flags": [flags or [MaskFlags.per_dataset] for flags in dataset.mask_flag_enums],
        "palettes": {
            b: dataset.colormap(b)
            for b in bands
            if dataset.colorinterp[b - 1] is ColorInterp.palette
        },
        "bits": [dataset.get_tag_item("NBITS", "IMAGE_STRUCTURE", bidx=b) for b in bands],
    }
    for band in (0, *bands):
        found |= _tags(dataset, band)
    return found


def _key(name: object) -> tuple[object, ...]:
    """Domain and key of a tag."""
    return name[1:] if isinstance(name, tuple) else (name, "")


def _valid(dataset: DatasetReader, band: int) -> NDArray[np.bool_]:
    """A mask of its own says no more than that: 1 and 255 are the same. Alpha is compared as a
    band.
    """
    return dataset.read_masks(band) != 0


def _pixels(before: DatasetReader, after: DatasetReader) -> Iterator[str]:
    for band in before.indexes:
        for what, read in (("pixels", DatasetReader.read), ("mask", _valid)):
            one, other = read(before, band), read(after, band)
            if one.tobytes() != other.tobytes():
                unlike = np.argwhere(~((one == other) | (one != one) & (other != other)))
                yield (
                    f"{what} of band {band}: {len(unlike)} differ, the first at"
                    f" {unlike[:1].tolist()}"
                )


def differences(before: str | Path, after: str | Path) -> list[str]:
    """What ``after`` does not share with ``before``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(before) as source, rasterio.open(after) as target:
            one, other = facts(source), facts(target)
            unlike = [
                f"{name}: {one.get(name)!r} became {other.get(name)!r}"
                for name in one | other
                if one.get(name) != other.get(name)
                and (*_key(name), one.get(name), other.get(name)) not in SAME
            ]
            if one["shape"] != other["shape"] or one["dtypes"] != other["dtypes"]:
                return unlike
            return unlike + list(_pixels(source, target))
