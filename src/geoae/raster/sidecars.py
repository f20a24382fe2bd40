"""Files beside a raster that GDAL reads with it: masks, overviews, world files, ``.aux.xml``."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import rasterio
from rasterio.io import DatasetReader

from geoae.errors import InputError, OutputError
from geoae.raster.dataset import DAMAGED, open_raster
from geoae.raster.vrt import described
from geoae.system.files import flush, flush_folder, rename
from geoae.system.warnings import SILENCE

__all__ = ["described_beside", "publish", "remove_sidecars", "sidecars_of"]

# Names that GDAL tries for every GeoTIFF: after its whole name, and in place of its suffix.
AFTER = (".aux.xml", ".ovr", ".msk", ".msk.ovr", ".aux")
LONGEST = 255  # bytes of a name: a longer one cannot be there
INSTEAD = (".tfw", ".tifw", ".tiffw")
# What the identity of a scene tells without them, and what changes when somebody looks at it.
TABLES = {"CategoryNames", "GDALRasterAttributeTable"}
KNOWN = {"Description", "NoDataValue"}


def sidecars_of(target: str) -> list[str]:
    """The files that GDAL reads together with the GeoTIFF ``target``, as it lists them; none where
    there is no such.
    """
    with suppress(InputError, *DAMAGED), open_raster(target) as dataset:
        # The first is the raster itself. What other formats list may be rasters in their own right.
        return dataset.files[1:] if dataset.driver == "GTiff" else []
    return []


def remove_sidecars(target: Path, kept: Sequence[str]) -> None:
    """Remove what GDAL would read with a GeoTIFF that is about to take the name ``target``.

    GDAL's own writers do so, too. Files that other rasters share, such as Landsat's ``_MTL.txt``,
    stay, and those that are ``kept``. Raises ``OutputError`` where one cannot be removed.
    """
    named = {target.with_name(target.name + end) for end in AFTER} | {
        target.with_suffix(end) for end in INSTEAD
    }
    listed = {
        path for name in sidecars_of(str(target)) if _is_named_after(target, path := Path(name))
    }
    for path in sorted(one for one in named | listed if len(os.fsencode(one.name)) <= LONGEST):
        if path.is_file() and not any(Path(name).exists() and path.samefile(name) for name in kept):
            try:
                path.unlink()
            except OSError as error:
                raise OutputError(
                    f"{path}: belongs to the file that is replaced and cannot be removed"
                    f" ({error.strerror}); remove it, or choose another -o"
                ) from error


def _is_named_after(target: Path, path: Path) -> bool:
    beside = path.parent.absolute() == target.parent.absolute() and path.name != target.name
    return beside and (
        path.stem in (target.stem, target.name)
        or path.name.lower() == f"{target.stem}_rpc.txt".lower()
    )


def described_beside(source: str, dataset: DatasetReader) -> list[str]:
    """What an ``.aux.xml`` adds to what ``source``, which is open as ``dataset``, says of its bands
    and control points.

    Statistics and histograms do not count, as they appear when somebody looks at a scene. Empty
    where it adds nothing.
    """
    if not any(name.endswith(".aux.xml") for name in dataset.files):
        return []
    with_it, alone = _facts(dataset), None
    with (
        suppress(*DAMAGED),
        SILENCE,
        rasterio.Env(GDAL_PAM_ENABLED="NO"),
        rasterio.open(source) as bare,
    ):
        alone = _facts(bare)
    return [] if with_it == alone else with_it


def _facts(dataset: DatasetReader) -> list[str]:
    """Control points, and of each band what an output would say of it other than the ``KNOWN``."""
    root = described(dataset, dataset.name, (), dataset.indexes)
    points = [tostring(node, "unicode") for node in root.findall("GCPList")]
    bands = [(band.get("band"), fact) for band in root.findall("VRTRasterBand") for fact in band]
    # A band's metadata may have held nothing but statistics.
    told = [
        (band, fact)
        for band, fact in bands
        if fact.tag not in KNOWN and (fact.tag != "Metadata" or len(fact))
    ]
    return points + [f"{band}: {tostring(fact, 'unicode')}" for band, fact in told]


def tables_beside(dataset: DatasetReader) -> bytes | None:
    """Class names and attribute tables of the bands as an ``.aux.xml``, since a GeoTIFF cannot hold
    them; None where there are none.
    """
    root = Element("PAMDataset")
    facts = described(dataset, dataset.name, (), ())
    for band in facts.findall("VRTRasterBand"):
        if tables := [node for node in band if node.tag in TABLES]:
            SubElement(root, "PAMRasterBand", band=str(band.get("band"))).extend(tables)
    return tostring(root) if len(root) else None


def publish(
    draft: Path, final: Path, kept: Sequence[str] = (), beside: bytes | None = None
) -> None:
    """Let ``draft`` take its name, not before its bytes are on the disk.

    What GDAL reads with the file of that name goes first, except files that are ``kept``, such as
    the source's; ``beside`` is the ``.aux.xml`` that takes its place.
    """
    flush(draft)
    remove_sidecars(final, kept)
    if beside is not None:
        sidecar = draft.with_name(f"{draft.name}.aux.xml")
        sidecar.write_bytes(beside)
        flush(sidecar)
        rename(sidecar, final.with_name(f"{final.name}.aux.xml"))
    rename(draft, final)
    flush_folder(final.parent)
