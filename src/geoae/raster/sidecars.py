"""Sidecars, files that GDAL reads with a raster: masks, overviews, world files, ``.aux.xml``."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import rasterio
from rasterio.io import DatasetReader

from geoae.errors import InputError, OutputError
from geoae.raster.dataset import DAMAGED, open_raster
from geoae.raster.vrt import build_vrt
from geoae.system.files import flush, flush_folder, rename
from geoae.system.warnings import SILENCE

__all__ = [
    "aux_of",
    "name_own_sidecars",
    "publish",
    "read_sidecar_facts",
    "remove_draft",
    "remove_sidecars",
    "sidecars_of",
    "write_aux",
]

# Names that GDAL tries for every GeoTIFF: after its whole name, and in place of its suffix.
AFTER = (".aux.xml", ".ovr", ".msk", ".msk.ovr", ".aux")
LONGEST = 255  # bytes of a name: a longer one cannot be there
INSTEAD = (".tfw", ".tifw", ".tiffw")
# What the identity of a scene tells without them, and what changes when somebody looks at it.
TABLES = {"CategoryNames", "GDALRasterAttributeTable"}
KNOWN = {"Description", "NoDataValue"}


def sidecars_of(target: str) -> list[str]:
    """List the files that GDAL reads with the GeoTIFF ``target``; none where there is no such
    file.
    """
    with suppress(InputError, *DAMAGED), open_raster(target) as dataset:
        # The first is the raster itself. What other formats list may be rasters in their own right.
        return dataset.files[1:] if dataset.driver == "GTiff" else []
    return []


def name_own_sidecars(target: Path) -> set[Path]:
    """Name the files that GDAL would read with a GeoTIFF of this name, also where they or the
    GeoTIFF are not there. Files that other rasters share, such as Landsat's ``_MTL.txt``, do not
    count.
    """
    named = {target.with_name(target.name + end) for end in AFTER} | {
        target.with_suffix(end) for end in INSTEAD
    }
    listed = {
        path for name in sidecars_of(str(target)) if _is_named_after(target, path := Path(name))
    }
    return named | listed


def remove_sidecars(target: Path, kept: Sequence[str]) -> None:
    """Remove files that GDAL would read with a GeoTIFF that is about to take a name.

    GDAL's own writers do so too, but for files that other rasters share, which stay here.

    Args:
        target: the name.
        kept: files to keep.

    Raises:
        OutputError: a file cannot be removed.

    """
    named = name_own_sidecars(target)
    for path in sorted(one for one in named if len(os.fsencode(one.name)) <= LONGEST):
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


def read_sidecar_facts(source: str, dataset: DatasetReader) -> list[str]:
    """Return what an ``.aux.xml`` adds to the description of bands and control points.

    Statistics and histograms do not count, since programs add them when they display a scene.

    Args:
        source: the raster.
        dataset: the same raster, open.

    Returns:
        XML of each fact; empty where the file adds nothing.

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
    """Return control points, and the facts of each band that an output would state, without
    ``KNOWN``.
    """
    root = build_vrt(dataset, dataset.name, (), dataset.indexes)
    points = [tostring(node, "unicode") for node in root.findall("GCPList")]
    bands = [(band.get("band"), fact) for band in root.findall("VRTRasterBand") for fact in band]
    # A band's metadata may have held nothing but statistics.
    told = [
        (band, fact)
        for band, fact in bands
        if fact.tag not in KNOWN and (fact.tag != "Metadata" or len(fact))
    ]
    return points + [f"{band}: {tostring(fact, 'unicode')}" for band, fact in told]


def write_aux(source: DatasetReader, draft: Path) -> None:
    """Write what a GeoTIFF cannot hold to its ``.aux.xml``, if there is any.

    That is class names, attribute tables and some colour interpretations, such as gray after the
    first band.

    Args:
        source: the scene.
        draft: the finished GeoTIFF.

    """
    with open_raster(str(draft)) as written:
        kept = written.colorinterp
    root, facts = Element("PAMDataset"), build_vrt(source, source.name, (), ())
    for band, colour in zip(facts.findall("VRTRasterBand"), kept, strict=True):
        number = int(band.get("band", 0))
        lost = TABLES if colour is source.colorinterp[number - 1] else TABLES | {"ColorInterp"}
        if found := [node for node in band if node.tag in lost]:
            SubElement(root, "PAMRasterBand", band=str(number)).extend(found)
    if len(root):
        aux_of(draft).write_bytes(tostring(root))


def remove_draft(draft: Path) -> None:
    """Remove a draft that was not published, with its ``.aux.xml``."""
    with suppress(OSError):  # they go with their folder
        draft.unlink(missing_ok=True)
        aux_of(draft).unlink(missing_ok=True)


def aux_of(raster: Path) -> Path:
    """Return the name of the ``.aux.xml`` of a raster."""
    return raster.with_name(f"{raster.name}.aux.xml")


def publish(draft: Path, final: Path, kept: Sequence[str] = ()) -> None:
    """Rename a finished file and its ``.aux.xml`` once their bytes are on disk.

    Files that GDAL would read with it are removed first.

    Args:
        draft: the file.
        final: its new name.
        kept: files to keep, such as the source's.

    Raises:
        OutputError: a sidecar cannot be removed.
        OSError: the file cannot be renamed.

    """
    flush(draft)
    remove_sidecars(final, kept)
    if aux_of(draft).exists():
        flush(aux_of(draft))
        rename(aux_of(draft), aux_of(final))
    rename(draft, final)
    flush_folder(final.parent)
