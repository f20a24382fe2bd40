"""Describe a source with restored bands as a VRT, for GDAL to copy.

GDAL describes the source itself. The description is rewritten so that restored bands read from the
parts and everything else from the source.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, TreeBuilder
from xml.parsers import expat

import rasterio.shutil
from rasterio._path import _parse_path
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader, MemoryFile

from geoae.raster.crs import CrsEncoding, encode_crs
from geoae.raster.parts import Part
from geoae.system.files import find_bytes

__all__ = ["FILE_DOMAINS", "build_vrt", "disguise", "metadata", "store_crs", "undisguise"]

# What a VRT says of a raster and of a band, other than where their pixels come from.
DATASET_FACTS = {"SRS", "GeoTransform", "GCPList", "Metadata"}
BAND_FACTS = {
    "Metadata",
    "Description",
    "NoDataValue",
    "NoDataValueImag",
    "HideNoDataValue",
    "UnitType",
    "Offset",
    "Scale",
    "ColorInterp",
    "ColorTable",
    "CategoryNames",
    "GDALRasterAttributeTable",
}
# Domains that tell of the file, not of the scene; GEOAE would be an earlier run's.
FILE_DOMAINS = {
    "DERIVED_SUBDATASETS",
    "SUBDATASETS",
    "LocationInfo",
    "TIFF",
    "IMAGE_STRUCTURE",
    "GEOAE",
}
# Domains under which writer hands itself what it will put right in the finished file.
HIDDEN, COLOUR, AREA = "hidden", "colour", "AREA_OR_POINT"


def build_vrt(
    dataset: DatasetReader,
    source: str,
    parts: Sequence[Part],
    bands: Sequence[int],
    mistagged: Collection[int] = (),
) -> Element:
    """Build a VRT with the facts of the source and the pixels of parts and source.

    Args:
        dataset: the source, open.
        source: name of the source.
        parts: finished slabs.
        bands: 1-based bands that read from the parts; the others read from the source.
        mistagged: bands that GDAL must not use as alpha while it makes overviews.

    Returns:
        Root element of the VRT.

    """
    given = _gdal_description(dataset)
    # rasterio's own URIs (zip://, s3://) mean nothing to GDAL; all other names are GDAL's own, to
    # the letter.
    name = _parse_path(source).as_vsi()
    root = Element("VRTDataset", rasterXSize=str(dataset.width), rasterYSize=str(dataset.height))
    root.extend(
        node
        for node in given
        if node.tag in DATASET_FACTS and node.get("domain") not in FILE_DOMAINS
    )
    area = dataset.tags().get(AREA)
    if area and not dataset.crs:  # else GDAL keeps it, among the keys of the CRS
        root.append(metadata(HIDDEN, {AREA: area}))
    _write_exact_points(root, dataset)
    # GDAL rounds scales and offsets in a VRT to 16 digits.
    exact = {"Scale": dataset.scales, "Offset": dataset.offsets}
    places = {band: str(place) for place, band in enumerate(bands, start=1)}
    for band, old in zip(dataset.indexes, given.findall("VRTRasterBand"), strict=True):
        node = _band(dataset, band, old, band in mistagged)
        root.append(node)
        for element in (*node.findall("Scale"), *node.findall("Offset")):
            element.text = repr(exact[element.tag][band - 1])
        if band in places:
            _forget_statistics(node)
            node.extend(
                _pixels(str(part.path), places[band], part.row, (part.height, dataset.width))
                for part in parts
            )
        else:
            node.append(_pixels(name, str(band), 0, dataset.shape))
    # Masks of each band are of one content, or the scene would have been refused.
    if dataset.mask_flag_enums[0] in ([MaskFlags.per_dataset], []):
        mask = SubElement(SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        mask.append(_pixels(name, "mask,1", 0, dataset.shape))
    return root


def _write_exact_points(root: Element, dataset: DatasetReader) -> None:
    """Write all digits of the control points, which GDAL rounds to four decimals of a pixel."""
    for node, point in zip(root.findall("GCPList/GCP"), dataset.gcps[0], strict=True):
        for key, value in (
            ("Pixel", point.col),
            ("Line", point.row),
            ("X", point.x),
            ("Y", point.y),
            ("Z", point.z),
        ):
            node.set(key, repr(value or 0.0))


def store_crs(root: Element) -> CrsEncoding | None:
    """Rewrite the CRS so that a GeoTIFF can hold it; return how, or None where there is none or no
    way.
    """
    for node in (*root.findall("SRS"), *root.findall("GCPList[@Projection]")):
        text = node.text if node.tag == "SRS" else node.get("Projection")
        epoch = float(node.get("coordinateEpoch", 0)) or None
        way = encode_crs(text, epoch) if text else None
        if way is None:
            continue
        if node.tag == "SRS":
            node.text = way.text
        else:
            node.set("Projection", way.text)
        if way.change:  # the axes of the CRS that takes its place are others
            node.attrib.pop("dataAxisToSRSAxisMapping", None)
        return way
    return None


def _band(dataset: DatasetReader, band: int, given: Element, mistagged: bool) -> Element:
    """Return what the source states about a ``band``, without its pixels."""
    node = Element("VRTRasterBand", dataType=given.get("dataType", "Byte"), band=str(band))
    node.extend(
        fact for fact in given if fact.tag in BAND_FACTS and fact.get("domain") not in FILE_DOMAINS
    )
    # A VRT made by GDAL holds the default domain of a band, and no other.
    for domain in (
        set(dataset.tag_namespaces(band)) - {fact.get("domain") for fact in given} - FILE_DOMAINS
    ):
        node.append(metadata(domain, dataset.tags(band, ns=domain)))
    if mistagged:
        node[:] = [fact for fact in node if fact.tag != "ColorInterp"]
        node.append(metadata(COLOUR, {"COLORINTERP": "Alpha"}))
    # a first band would become gray
    elif band == 1 and dataset.colorinterp[0] is ColorInterp.undefined:
        node.append(metadata(COLOUR, {"COLORINTERP": "Undefined"}))
    return node


def _forget_statistics(band: Element) -> None:
    """Remove statistics, which describe the pixels before restoration."""
    for node in band.findall("Metadata"):
        node[:] = [item for item in node if not item.get("key", "").startswith("STATISTICS_")]


def _gdal_description(dataset: DatasetReader) -> Element:
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT", COPY_SRC_MDD="YES")
        text = bytes(memory.getbuffer()).decode("utf-8", "replace")
    # Damaged tags hold characters that XML cannot say; embedded documents hold undeclared prefixes.
    text = re.sub(
        r"[^\t\n\r\x20-\ud7ff\ue000-\U0010ffff]|&#(?:[0-8]|1[124-9]|2\d|3[01]);", "", text
    )
    # Of a document inside, whose declaration may only stand at the head of all.
    text = re.sub(r"<\?xml\s[^>]*\?>", "", text)
    builder, parser = TreeBuilder(insert_pis=True), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler, parser.ProcessingInstructionHandler = builder.data, builder.pi
    parser.Parse(text, True)
    return builder.close()


def _pixels(name: str, band: str, row: int, size: tuple[int, int]) -> Element:
    """Return an element that reads all of ``name``, of ``size`` (height, width), from ``row``
    on.
    """
    node = Element("SimpleSource")
    SubElement(node, "SourceFilename", relativeToVRT="0").text = name
    SubElement(node, "SourceBand").text = band
    for tag, top in (("SrcRect", 0), ("DstRect", row)):
        SubElement(node, tag, xOff="0", yOff=str(top), xSize=str(size[1]), ySize=str(size[0]))
    return node


def metadata(domain: str, tags: Mapping[str, str]) -> Element:
    """Build the element of a metadata domain.

    Args:
        domain: name of the domain.
        tags: its tags.

    """
    node = Element("Metadata", domain=domain)
    for key, value in tags.items():
        SubElement(node, "MDI", key=key).text = value
    return node


# GDAL 3.10 loses the default domain of bands as soon as it copies the other domains (COPY_SRC_MDD),
# writes IMD into a sidecar, drops AREA_OR_POINT where there is no CRS, and would not write the
# colour of a band as it reads it. So these travel under another name, which is put right in the
# finished file: the length of the tag, and with it the layout of the COG, stays as it is.


def disguise(root: Element, marker: str) -> None:
    """Rename metadata that GDAL would not write as it is.

    Args:
        root: the VRT, which is changed.
        marker: prefix of the new names.

    """
    for node in root.findall("VRTRasterBand/Metadata") + root.findall("Metadata"):
        if node.get("domain") in (HIDDEN, COLOUR, "IMD") or (
            node.get("domain") is None and node not in root
        ):
            node.set("domain", f"{marker}-{node.get('domain', '')}")
        for item in (
            node.findall(f"MDI[@key='{AREA}']")
            if node.get("domain") == f"{marker}-{HIDDEN}"
            else []
        ):
            item.set("key", f"{marker}-{AREA}")


def undisguise(target: Path, marker: str, span: int) -> None:
    """Restore the names that ``disguise`` has changed.

    Args:
        target: the written file.
        marker: prefix of the names.
        span: all names lie within so many bytes.

    """
    real = {b"": b"", HIDDEN.encode(): b"", COLOUR.encode(): b' role="colorinterp"'}

    def bare(found: re.Match[bytes]) -> bytes:
        attribute, name = found.groups()
        plain = b' %s="%s"' % (attribute, name)
        return (real.get(name, plain) if attribute == b"domain" else plain).ljust(len(found[0]))

    # Not as a memory map, which many network file systems lack.
    with target.open("r+b") as file:
        found = find_bytes(file, marker.encode())
        if found is None:  # of a domain without tags GDAL writes nothing
            return
        start = found - len(' domain="')
        file.seek(start)
        text = re.sub(rb' (name|domain)="%s-([^"]*)"' % marker.encode(), bare, file.read(span))
        file.seek(start)
        file.write(text)
