"""Compare the metadata of two rasters: find the first fact that an output has lost or changed."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress

from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from geoae.raster.crs import same_crs
from geoae.raster.vrt import FILE_DOMAINS

__all__ = ["first_difference"]

# Pixels by which a corner may move: the half pixel of AREA_OR_POINT=Point rounds the last digits of
# a transform.
MOVED = 1e-5
# Domains that describe the file, not the scene; RPCs are compared as numbers.
NOT_COMPARED = FILE_DOMAINS | {"xml:VRT", "_DEBUG_TIFF_", "RPC"}
# Tags of the default domain that may be missing: statistics of pixels that have changed, TIFF's own
# tags, the kind of a sidecar.
MAY_GO = ("STATISTICS_", "TIFFTAG_", "METADATATYPE")
# Characters of a value that a message shows.
SHOWN = 60


def first_difference(old: DatasetReader, new: DatasetReader) -> str | None:
    """Find the first fact of a raster that another does not state. Pixels and masks are not read.

    Args:
        old: the source.
        new: the output, which may state more.

    Returns:
        The difference in words; None where there is none.

    """
    crs = {"CRS": (old.crs, new.crs)}
    if old.gcps[0]:  # JPEG 2000 states a CRS even for control points that do not exist
        crs["CRS of GCPs"] = (old.gcps[1], new.gcps[1])
    for what, (given, found) in crs.items():
        if not same_crs(given, found):
            return f"{what} ({_shorten(found)} for {_shorten(given)})"
    if not _same_transform(old, new):
        return f"transform ({_shorten(tuple(new.transform))} for {_shorten(tuple(old.transform))})"
    for what, fact in FACTS.items():
        with suppress(UnicodeDecodeError):  # the source's own text is damaged
            given, found = fact(old), fact(new)
            if found != given:
                return f"{what} ({_shorten(found)} for {_shorten(given)})"
    return _first_tag(old, new)


def _same_transform(old: DatasetReader, new: DatasetReader) -> bool:
    """Whether no corner moves."""
    a, b = old.transform, new.transform
    pixel = max(abs(step) for step in (a.a, a.b, a.d, a.e))
    reach = [(a.a - b.a) * old.width, (a.b - b.b) * old.height, a.c - b.c]
    reach += [(a.d - b.d) * old.width, (a.e - b.e) * old.height, a.f - b.f]
    return a == b or max(map(abs, reach)) <= MOVED * pixel


def _gcps(dataset: DatasetReader) -> object:
    return [(point.row, point.col, point.x, point.y, point.z or 0.0) for point in dataset.gcps[0]]


def _rpcs(dataset: DatasetReader) -> object:
    """Return the RPCs that a GeoTIFF can hold, as numbers, in whatever form they are written."""
    tags = dataset.tags(ns="RPC")
    return {
        key: _numbers(text)
        for key, text in tags.items()
        if key.endswith(("_OFF", "_SCALE", "_COEFF"))
    }


def _numbers(text: str) -> object:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return text


def _figures(values: Sequence[float | int | None]) -> list[str | None]:
    """Format numbers as text, since NaN differs from itself; zeros lose their sign."""
    return [None if value is None else repr(value + 0) for value in values]


def _palettes(dataset: DatasetReader) -> object:
    bands = zip(dataset.indexes, dataset.colorinterp, strict=True)
    return {band: dataset.colormap(band) for band, colour in bands if colour is ColorInterp.palette}


def _masks(dataset: DatasetReader) -> object:
    # Masks of each band come back as one for all: scenes whose masks differ are refused.
    return [
        [flag.name for flag in flags or [MaskFlags.per_dataset]]
        for flags in dataset.mask_flag_enums
    ]


FACTS: dict[str, Callable[[DatasetReader], object]] = {
    "number of bands": lambda dataset: dataset.count,
    "size": lambda dataset: dataset.shape,
    "data type": lambda dataset: dataset.dtypes,
    "GCPs": _gcps,
    "RPCs": _rpcs,
    "nodata": lambda dataset: _figures(dataset.nodatavals),
    "scales": lambda dataset: _figures(dataset.scales),
    "offsets": lambda dataset: _figures(dataset.offsets),
    "units": lambda dataset: dataset.units,
    "band names": lambda dataset: dataset.descriptions,
    "colour interpretation": lambda dataset: [colour.name for colour in dataset.colorinterp],
    "colour tables": _palettes,
    "kinds of masks": _masks,
}


def _first_tag(old: DatasetReader, new: DatasetReader) -> str | None:
    """Describe the first tag that is missing or has another value."""
    for band in (0, *old.indexes):
        given, found = _tags(old, band), _tags(new, band)
        for (space, key), value in given.items():
            # GDAL does not write an empty tag.
            if found.get((space, key), "") != value:
                name = f"{space} {key}".strip() + (f" of band {band}" if band else "")
                return f"the tag {name} ({_shorten(found.get((space, key)))} for {_shorten(value)})"
    return None


def _tags(dataset: DatasetReader, band: int) -> dict[tuple[str, str], str]:
    """Return the tags of ``band`` (0: of the dataset) by domain and key; a document is one tag."""
    found: dict[tuple[str, str], str] = {}
    for space in sorted({"", *dataset.tag_namespaces(band)} - NOT_COMPARED):
        tags = dataset.tags(band, ns=space or None)
        if space.startswith(("xml:", "json:")):  # rasterio splits a document at its first "="
            tags = {"": _words("".join(f"{key}={text}" for key, text in tags.items()))}
        # Characters that XML cannot hold are left out.
        tags = {key: "".join(filter(str.isprintable, text)) for key, text in tags.items()}
        found |= {
            (space, key): text for key, text in tags.items() if space or not key.startswith(MAY_GO)
        }
    return found


def _words(document: str) -> str:
    """Return the words of an XML ``document``, without declaration and layout, which GDAL writes
    anew.

    A byte order mark may be an entity.
    """
    return "".join(re.findall(r"[\w.-]+", re.sub(r"<\?xml\s[^>]*\?>|&#xFEFF;", "", document)))


def _shorten(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
