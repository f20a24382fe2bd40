import zipfile
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from geoae.raster.dataset import open_raster
from geoae.raster.parts import Part
from geoae.raster.vrt import build_vrt, disguise, metadata, store_crs, undisguise
from geoae.system import files
from tests.support.rasters import texture, write


@pytest.mark.parametrize("at", [0, 1, 17, 40])
def test_a_name_is_put_right_wherever_it_lies(tmp_path, monkeypatch, at):
    monkeypatch.setattr(files, "CHUNK", 16)
    path = tmp_path / "a.tif"
    path.write_bytes(b"." * at + b'<Item name="geoae-1-key" domain="geoae-1-hidden">' + b"." * 9)
    before = path.stat().st_size
    undisguise(path, "geoae-1", 60)
    assert path.read_bytes().replace(b" ", b"") == b"." * at + b'<Itemname="key">' + b"." * 9
    assert path.stat().st_size == before


@pytest.fixture
def plain(tmp_path):
    return write(tmp_path / "a.tif", texture(3, 20, 30).astype(np.uint16))


def pixels_from(root: Element) -> dict[str, list[tuple[str, str, str]]]:
    """File, band and first row from which each band of a description is read."""
    return {
        band.get("band"): [
            (part.findtext("SourceFilename"), part.findtext("SourceBand"), place.get("yOff"))
            for part in band.findall("SimpleSource")
            for place in part.findall("DstRect")
        ]
        for band in root.findall("VRTRasterBand")
    }


def test_bands_come_from_the_parts_or_the_source(plain, tmp_path):
    parts = [Part(tmp_path / "0.tif", 0, 12), Part(tmp_path / "1.tif", 12, 8)]
    with open_raster(str(plain)) as dataset:
        root = build_vrt(dataset, str(plain), parts, [3, 1])
    made = [(str(tmp_path / "0.tif"), "0"), (str(tmp_path / "1.tif"), "12")]
    assert pixels_from(root) == {
        "1": [(name, "2", row) for name, row in made],
        "2": [(str(plain), "2", "0")],
        "3": [(name, "1", row) for name, row in made],
    }


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("zip://{}/a.zip!a.tif", "/vsizip/{}/a.zip/a.tif"),
        ("file://{}/a.tif", "{}/a.tif"),
        ("/vsizip/{}/a.zip/a.tif", "/vsizip/{}/a.zip/a.tif"),
        ("vrt://{}/a.tif?bands=1,2,3", "vrt://{}/a.tif?bands=1,2,3"),
    ],
)
def test_gdal_is_given_names_that_it_knows(plain, tmp_path, name, known):
    """Names are translated by a private function of rasterio: where that changes, this fails."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(plain, "a.tif")
    source = name.format(tmp_path)
    with open_raster(source) as dataset:
        root = build_vrt(dataset, source, [], [])
    assert pixels_from(root)["1"] == [(known.format(tmp_path), "1", "0")]


def test_statistics_of_restored_bands_are_dropped(plain, tmp_path):
    with rasterio.open(plain, "r+") as dataset:
        for band in (1, 2):
            dataset.update_tags(band, STATISTICS_MEAN="5", KEPT="1")
    with open_raster(str(plain)) as dataset:
        root = build_vrt(dataset, str(plain), [Part(tmp_path / "0.tif", 0, 20)], [2])
    kept = [
        {item.get("key") for item in band.findall("Metadata/MDI")}
        for band in root.findall("VRTRasterBand")
    ]
    assert kept == [{"STATISTICS_MEAN", "KEPT"}, {"KEPT"}, set()]


def test_tags_of_bands_travel_under_another_name():
    root = Element("VRTDataset")
    root.append(metadata("GEOAE", {"A": "1"}))
    band = SubElement(root, "VRTRasterBand")
    SubElement(SubElement(band, "Metadata"), "MDI", key="K").text = "v"
    disguise(root, "geoae-1")
    assert root.find("Metadata").get("domain") == "GEOAE"
    assert band.find("Metadata").get("domain") == "geoae-1-"


def test_a_crs_that_gdal_writes_is_left_alone(plain):
    with open_raster(str(plain)) as dataset:
        root = build_vrt(dataset, str(plain), [], [])
    before = root.findtext("SRS")
    assert store_crs(root).change is None
    assert root.findtext("SRS") == before
    root.remove(root.find("SRS"))
    assert store_crs(root) is None
