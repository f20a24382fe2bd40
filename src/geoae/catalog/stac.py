"""Scenes of a STAC collection: a static catalogue, local or in a store, or a search on an API."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from geoae.catalog.s3 import S3, VSIS3, s3_settings, to_url
from geoae.errors import InputError
from geoae.radiometry.band_names import interpret_file_name, interpret_name
from geoae.resources import require_extra
from geoae.system.files import is_local

__all__ = ["items"]

# Media types of what GDAL restores; an asset without a type is judged by its name.
RASTERS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff")
SUFFIXES = (".tif", ".tiff", ".jp2")
# Fields by which the extensions classification and file say that values are flags or classes.
CLASSES = ("classification:classes", "classification:bitfields", "file:values")
# Where the bands of an asset are listed: by STAC 1.1, and by the extensions before it.
BANDS = ("bands", "raster:bands", "eo:bands")
# STAC's names of roles of what is no measurement.
ROLES = {
    *("mask", "data-mask", "quality", "qa", "cloud", "cloud-shadow", "shadow", "snow-ice"),
    *("water-mask", "land-water", "saturation", "date", "confidence", "uncertainty"),
    *("incidence-angle", "local-incidence-angle", "azimuth", "sun-azimuth", "sun-elevation"),
    *("view-angle", "angle", "terrain-shadow", "terrain-occlusion", "terrain-illumination"),
}


def items(where: str, since: datetime | None) -> list[tuple[str, str, float]]:
    """List the rasters of a STAC collection.

    Args:
        where: a ``catalog.json`` or ``collection.json``, local or in a store (``s3://``), or
            ``https://.../collections/NAME``.
        since: only items that were updated, or else taken, at this time or later.

    Returns:
        For each raster the name that GDAL opens, the name of its output, and the time of change in
        seconds since 1970. The output is ``collection/item.tif``, or ``collection/item_asset.tif``
        for items of several rasters.

    Raises:
        InputError: the collection cannot be read.

    """
    require_extra("flows", "pystac", "pystac_client", "fsspec")
    try:
        found = _static(where) if where.endswith(".json") else _search_api(where)
        return [
            one
            for item in found
            if _get_update_time(item) >= (since.timestamp() if since else 0)
            for one in _rasters(item)
        ]
    except InputError:
        raise
    # pystac lets through whatever its reader, parser or the network raises
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{where}: cannot be read as STAC ({reason}); check the address and the catalogue"
        ) from error


def _static(where: str) -> Iterator[Any]:
    import fsspec
    import pystac
    from pystac.stac_io import DefaultStacIO

    class AnyStore(DefaultStacIO):
        """Reads what fsspec opens: paths, http, s3."""

        def read_text_from_href(self, href: str) -> str:
            options = s3_settings() if href.startswith(S3) else {}
            with fsspec.open(href, "rt", **options) as file:
                return str(file.read())

    where = to_url(where)
    if where.startswith(S3):
        require_extra("s3", "s3fs")
    top = pystac.read_file(where, stac_io=AnyStore())
    if not isinstance(top, pystac.Catalog):
        raise InputError(
            f"{where}: is one STAC item; give the catalogue or collection that holds it"
        )
    return iter(top.get_items(recursive=True))


def _search_api(where: str) -> Iterator[Any]:
    from pystac_client import Client

    root, _, collection = where.rstrip("/").rpartition("/collections/")
    return iter(Client.open(root).search(collections=[collection], limit=200).items())


def _get_update_time(item: Any) -> float:
    """Return when an item was updated, or else taken, in seconds since 1970; 0 where unknown."""
    moment = item.common_metadata.updated or item.common_metadata.created or item.datetime
    return moment.timestamp() if moment else 0.0


def _rasters(item: Any) -> Iterable[tuple[str, str, float]]:
    rasters = {
        key: asset
        for key, asset in item.get_assets().items()
        if _is_raster(asset) and not _holds_classes(key, asset)
    }
    data = {
        key: asset for key, asset in rasters.items() if "data" in (asset.roles or [])
    } or rasters
    folder = f"{item.collection_id}/" if item.collection_id else ""
    for key, asset in data.items():
        name = item.id if len(data) == 1 else f"{item.id}_{key}"
        yield (
            _openable(asset.get_absolute_href() or asset.href),
            f"{folder}{name}.tif",
            _get_update_time(item),
        )


def _holds_classes(key: str, asset: Any) -> bool:
    """Whether an asset holds flags, classes or angles and nothing else.

    By STAC's classification and file extensions, by its roles, and by the names of asset and file.
    """
    listed = [asset.extra_fields[name] for name in BANDS if asset.extra_fields.get(name)]
    bands: list[dict[str, Any]] = listed[0] if listed else []
    told = [asset.extra_fields, *([] if len(bands) > 1 else bands)]
    if any(field.get(name) for field in told for name in CLASSES):
        return True
    if len(bands) > 1 and all(any(band.get(name) for name in CLASSES) for band in bands):
        return True
    # What is true of one band need not be true of all, and data may be of clouds.
    if len(bands) > 1:
        return False
    is_data = "data" in (asset.roles or [])
    if not is_data and ROLES & set(asset.roles or []):
        return True
    said = [interpret_name(key)]
    if not is_data:
        said += [interpret_name(asset.title or ""), interpret_file_name(str(asset.href))]
    return any(one.kind is not None and one.sure for one in said)


def _is_raster(asset: Any) -> bool:
    if {"overview", "thumbnail", "metadata"} & set(asset.roles or []):
        return False
    if asset.media_type:
        return str(asset.media_type).startswith(RASTERS)
    return str(asset.href).split("?")[0].lower().endswith(SUFFIXES)


def _openable(href: str) -> str:
    """Translate ``href`` to a name that GDAL opens."""
    if href.startswith(S3):
        return VSIS3 + href.removeprefix(S3)
    if href.startswith("file://"):
        return href.removeprefix("file://")
    return href if is_local(href) or not href.startswith("http") else f"/vsicurl/{href}"
