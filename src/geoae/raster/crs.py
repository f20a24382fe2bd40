"""Coordinate reference systems in GeoTIFF keys: what GDAL writes, and how to keep what it loses.

GDAL writes some kinds of CRS (projected 3D, vertical, derived, without a GeoTIFF code for their
projection) into a sidecar only, and others incompletely. Here their GeoKeys are written under
another name and corrected in the finished file, whose layout stays as it is.
"""

import io
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import escape

import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.io import MemoryFile

from geoae.system.files import find_bytes
from geoae.system.gdal_errors import CPLE_BaseError

__all__ = ["CrsEncoding", "change_keys", "encode_crs", "name_crs", "same_crs"]

# GeoKeys, each of four 16-bit numbers: name, where its value lies (0: here), length, value.
CITATION, PROJECTED_CITATION, VERTICAL = 1026, 3073, 4096
ASCII_VALUES = 34737
# GDAL takes a CRS from the citation of the projected CRS, in any kind of WKT, after these words.
MARK = "ESRI PE String = "
LOCAL = 'LOCAL_CS["{}",UNIT["metre",1]]'
# A vertical CRS of EPSG, whose code in the file gives way to that of a geographic 3D CRS.
PLACEHOLDER = 5773
COMPOUND = (
    'COMPD_CS["with ellipsoidal height",{},VERT_CS["EGM96 height",VERT_DATUM["EGM96 geoid",2005,'
    'AUTHORITY["EPSG","5171"]],UNIT["metre",1,AUTHORITY["EPSG","9001"]],'
    f'AXIS["Gravity-related height",UP],AUTHORITY["EPSG","{PLACEHOLDER}"]]]'
)
SMALLEST = """<VRTDataset rasterXSize="1" rasterYSize="1"><SRS{}>{}</SRS>
<GeoTransform>10,1,0,50,0,-1</GeoTransform><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>"""

Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class CrsEncoding:
    """How a CRS is written into a GeoTIFF."""

    text: str
    """WKT for GDAL."""
    change: tuple[Key, Key] | None = None
    """The GeoKey to replace in the written file, and its replacement; None where GDAL writes the
    CRS as it is.
    """

    @property
    def options(self) -> dict[str, str]:
        """Creation options: with the keys of GeoTIFF 1.0, GDAL ignores heights."""
        return {"GEOTIFF_VERSION": "1.1"} if self.change else {}


def same_crs(old: CRS | None, new: CRS | None) -> bool:
    """Whether two CRS give pixels the same place.

    Names and codes may differ. So may the order of the axes: in a GeoTIFF it follows from the kind
    of CRS, and GDAL gives easting or longitude first in any case. Kind, datum, projection, units,
    heights and the directions of the axes must be the same.

    Args:
        old: a CRS, or None.
        new: another CRS, or None.

    """
    if not old or not new:
        return not old and not new
    return bool(old == new or _east_first(old) == _east_first(new))


@lru_cache(maxsize=64)
def encode_crs(text: str, epoch: float | None = None) -> CrsEncoding | None:
    """Decide how to write a CRS, by writing it into a file of one pixel and reading it again.

    Args:
        text: WKT of the CRS.
        epoch: its coordinate epoch, a decimal year.

    Returns:
        How to write it; None where no way gives the same CRS.

    """
    found = None
    with rasterio.Env(GDAL_PAM_ENABLED="NO"):
        try:
            wanted = CRS.from_wkt(text)
        except CRSError:  # rasterio reads no CRS there either
            return CrsEncoding(text)
        for way in _standard(text, wanted):
            crs, when = _read(way, epoch)
            if same_crs(wanted, crs) and when == epoch:
                found = found or way
                if _code(crs) == _code(wanted):
                    return way
        # GDAL 3.10 finds an epoch within WKT only once a process, so it is not asked for here.
        in_words = (
            way for way in _in_words(text, wanted, epoch) if same_crs(wanted, _read(way)[0])
        )
        return found or next(in_words, None)


def change_keys(file: Path, way: CrsEncoding) -> None:
    """Correct the GeoKeys of a written file.

    Args:
        file: the file.
        way: how its CRS was written.

    Raises:
        OSError: the keys to replace are not there.

    """
    if way.change is None:
        return
    with file.open("r+b") as opened:
        _change(opened, way.change)


def _change(file: BinaryIO, change: tuple[Key, Key]) -> None:
    old, new = (struct.pack("=4H", *key) for key in change)
    at = find_bytes(file, old)
    if at is None:
        raise OSError("the CRS does not read as written")
    file.seek(at)
    file.write(new)


def _standard(text: str, crs: CRS) -> Iterator[CrsEncoding]:
    """Yield encodings that every reader of GeoTIFF understands."""
    yield CrsEncoding(text)
    code = _code(crs)
    if code:
        with suppress(CRSError):  # a code that this PROJ does not know
            # Its parts have codes of their own there, by which GDAL finds names for its keys.
            yield CrsEncoding(CRS.from_epsg(code).to_wkt())
        # A code that contradicts the rest would come back as the CRS that it stands for.
        yield CrsEncoding(re.sub(r',(AUTHORITY|ID)\["EPSG","?\d+"?\]\]$', "]", text))
    if flat := _flat(text):
        projected, height = flat
        change = (VERTICAL, 0, 1, PLACEHOLDER), (VERTICAL, 0, 1, height)
        yield CrsEncoding(COMPOUND.format(CRS.from_epsg(projected).to_wkt()), change)


def _flat(text: str) -> tuple[int, int] | None:
    """Return EPSG codes of a projected 3D CRS: of its 2D part, and of the geographic 3D CRS below
    it.

    Source: OGC 19-008r4 (GeoTIFF 1.1), VerticalGeoKey: the code of a vertical or a geographic 3D
    CRS.
    """
    if "CS[Cartesian,3]" not in text or not text.startswith("PROJCRS"):
        return None
    import pyproj  # rasterio's CRS does not tell its parts

    crs = pyproj.CRS.from_wkt(text)
    projected, height = crs.to_2d().to_epsg(), crs.geodetic_crs and crs.geodetic_crs.to_epsg()
    return (projected, height) if projected and height else None


def _in_words(text: str, crs: CRS, epoch: float | None) -> Iterator[CrsEncoding]:
    """Yield encodings that only GDAL understands. Without an epoch where PROJ says it has no
    meaning.

    An epoch has no meaning for a static CRS.
    """
    texts = [text]
    for version in ("WKT2_2019", "WKT2_2015"):
        with suppress(CRSError):  # a kind of CRS that this version does not know
            texts.append(crs.to_wkt(version=version))
    dated = [f"COORDINATEMETADATA[{wkt},EPOCH[{epoch:.17g}]]" for wkt in texts] if epoch else []
    for wkt in dated + texts:
        words = MARK + wkt
        length = len(words.encode()) + 1
        change = (CITATION, ASCII_VALUES, length, 0), (PROJECTED_CITATION, ASCII_VALUES, length, 0)
        yield CrsEncoding(LOCAL.format(words.replace('"', '""')), change)


def _read(way: CrsEncoding, epoch: float | None = None) -> tuple[CRS | None, float | None]:
    """Write a GeoTIFF this ``way`` and read CRS and epoch back; None where that fails."""
    attribute = f' coordinateEpoch="{epoch:.17g}"' if epoch else ""
    recipe = SMALLEST.format(attribute, escape(way.text)).encode()
    with suppress(RasterioError, CPLE_BaseError, CRSError, OSError, struct.error):
        with MemoryFile(recipe, ext=".vrt") as given, MemoryFile(ext=".tif") as tiff:
            rasterio.shutil.copy(given.name, tiff.name, driver="GTiff", **way.options)
            content = io.BytesIO(bytes(tiff.getbuffer()))
        if way.change:
            _change(content, way.change)
        with MemoryFile(content.getvalue(), ext=".tif") as changed, changed.open() as dataset:
            return dataset.crs, _epoch(dataset)
    return None, None


def _epoch(dataset: rasterio.DatasetReader) -> float | None:
    """Return the coordinate epoch, a decimal year, to which rasterio gives no access."""
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        found = re.search(rb'coordinateEpoch="([^"]*)"', bytes(memory.getbuffer()))
    return float(found[1]) if found else None


def _code(crs: CRS | None) -> int | None:
    """Return the EPSG code of a whole CRS, not of its parts."""
    found = re.search(r'(?:AUTHORITY|ID)\["EPSG","?(\d+)"?\]\]$', crs.to_wkt()) if crs else None
    return int(found[1]) if found else None


def _east_first(crs: CRS) -> CRS:
    axes = r'(AXIS\["[^"]*",NORTH\]),(AXIS\["[^"]*",EAST\])'
    return CRS.from_wkt(re.sub(axes, r"\2,\1", crs.to_wkt()))


def name_crs(crs: CRS | None) -> str:
    """Return a short name of a CRS: its EPSG code, its own name, or "none"."""
    if not crs:
        return "none"
    code, text = crs.to_epsg(), crs.to_wkt()
    if code:
        return f"EPSG:{code}"
    return str(text.split('"')[1]) if '"' in text else "custom"
