"""Files beside a raster: those of a replaced output go with it, those of a source count as the
source.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoae
from geoae.catalog.sources import SceneRef
from geoae.errors import OutputError
from geoae.raster.scene import Scene
from geoae.simulation.degrade import DegradeConfig, degrade
from tests.support.rasters import noise, read, texture, write

IMD = 'version = "R";\nBEGIN_GROUP = IMAGE_1\n satId = "QB02";\nEND_GROUP = IMAGE_1\nEND;\n'
STEPS = DegradeConfig.model_validate({"degradations": [{"kind": "gaussian", "sigma": 5.0}]})
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def restored(source: Path, target: Path) -> None:
    geoae.restore(source, target, model="identity", overwrite=True)


def degraded(source: Path, target: Path) -> None:
    degrade(str(source), STEPS, target, overwrite=True)


DOORS = pytest.mark.parametrize("door", [restored, degraded])


def pam(band: str, others: str = "") -> str:
    return f'<PAMDataset>{others}<PAMRasterBand band="1">{band}</PAMRasterBand></PAMDataset>'


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    pixels = (texture(1, 64, 64) + noise((1, 64, 64), 5)).astype(np.uint16)
    return write(tmp_path / "in" / "s.tif", pixels, crs=None, transform=None)


def with_sidecars(target: Path) -> None:
    """An older raster of another content, and all that GDAL reads with it."""
    write(target, np.full((1, 64, 64), 9, np.uint16), crs=None, transform=None)
    target.with_name(f"{target.name}.aux.xml").write_text(
        pam("<Description>old</Description><NoDataValue>9</NoDataValue>")
    )
    target.with_suffix(".tfw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    target.with_suffix(".IMD").write_text(IMD)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(target, "r+") as dataset:
        dataset.write_mask(np.zeros((64, 64), np.uint8))
    with rasterio.Env(TIFF_USE_OVR="YES"), rasterio.open(target, "r+") as dataset:
        dataset.build_overviews([2])


@DOORS
def test_what_belongs_to_a_replaced_file_goes_with_it(source, tmp_path, door):
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "o.tif"
    with_sidecars(target)
    with rasterio.open(target) as dataset:
        found = {Path(name).name for name in dataset.files}
    assert found >= {
        "o.IMD",
        "o.tfw",
        "o.tif.aux.xml",
        "o.tif.msk",
        "o.tif.ovr",
    }, "GDAL reads all of them"
    (tmp_path / "out" / "o_MTL.txt").write_text("of all bands of a Landsat scene")
    door(source, target)
    assert sorted(path.name for path in target.parent.iterdir()) == ["o.tif", "o_MTL.txt"]
    with rasterio.open(target) as dataset:
        assert (dataset.nodata, dataset.descriptions, dataset.tags(ns="IMD")) == (None, (None,), {})
        assert dataset.transform.is_identity
        assert dataset.dataset_mask().all()


@DOORS
@pytest.mark.parametrize("left", ["nothing", "no raster"])
def test_sidecars_of_a_file_that_went_or_broke_go_too(source, tmp_path, door, left):
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "o.tif"
    with_sidecars(target)
    target.unlink() if left == "nothing" else target.write_text("no raster")
    target.with_suffix(".IMD").unlink()  # other formats have one of this name, too
    door(source, target)
    assert [path.name for path in target.parent.iterdir()] == ["o.tif"]


def test_sidecars_of_the_source_stay(source, tmp_path):
    """World files and metadata of ``a.png`` are named as those of ``a.tif`` would be."""
    with rasterio.open(
        tmp_path / "a.png", "w", driver="PNG", height=64, width=64, count=1, dtype="uint16"
    ) as dataset:
        dataset.write(read(source))
    for name, text in (("a.wld", "10\n0\n0\n-10\n500005\n4999995\n"), ("a.IMD", IMD)):
        (tmp_path / name).write_text(text)
    (tmp_path / "a.png.aux.xml").write_text(pam("<UnitType>DN</UnitType>"))
    write(tmp_path / "a.tif", np.ones((1, 9, 9), np.uint8), crs=None, transform=None)
    before = sorted(path.name for path in tmp_path.glob("a.*"))
    restored(tmp_path / "a.png", tmp_path / "a.tif")
    assert "a.wld" in before
    assert {path.name for path in tmp_path.glob("a.*")} >= {
        "a.png",
        "a.png.aux.xml",
        "a.tif",
        "a.wld",
    }
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.transform.c == 500000


def test_a_sidecar_that_cannot_be_removed_keeps_the_older_file(source, tmp_path, monkeypatch):
    target = tmp_path / "o.tif"
    with_sidecars(target)
    unlink = Path.unlink

    def locked(path, missing_ok=False):
        if path.suffix == ".msk":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", locked)
    with pytest.raises(
        OutputError, match=r"o\.tif\.msk: belongs to the file that is replaced .*; remove it"
    ):
        restored(source, target)
    assert (read(target) == 9).all()


def test_what_belongs_to_a_replaced_remote_file_goes_with_it(source):
    with_pam = "/vsimem/sidecars/o.tif"
    with rasterio.open(
        with_pam, "w", driver="GTiff", height=64, width=64, count=1, dtype="uint16"
    ) as dataset:
        dataset.write(read(source))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(with_pam, "r+") as dataset:
        dataset.write_mask(np.zeros((64, 64), np.uint8))
    geoae.restore(source, with_pam, model="identity", overwrite=True)
    with rasterio.open(with_pam) as dataset:
        assert dataset.files == [with_pam]
        assert dataset.dataset_mask().all()


TABLE = (
    "<GDALRasterAttributeTable><FieldDefn"
    ' index="0"><Name>n</Name><Type>0</Type><Usage>0</Usage></FieldDefn><Row'
    ' index="0"><F>1</F></Row></GDALRasterAttributeTable>'
)
POINTS = "".join(
    f'<GCP Id="{i}" Pixel="{i * 9}" Line="{i * i}" X="{10 + i}" Y="50"/>' for i in range(3)
)
SAID = {
    "scale": pam("<Offset>-0.1</Offset><Scale>0.0001</Scale>"),
    "unit": pam("<UnitType>DN</UnitType>"),
    "colour": pam("<ColorInterp>Red</ColorInterp>"),
    "classes": pam("<CategoryNames><Category>water</Category></CategoryNames>"),
    "table": pam(TABLE),
    "band tag": pam('<Metadata><MDI key="WAVELENGTH">665</MDI></Metadata>'),
    "band domain": pam('<Metadata domain="MINE"><MDI key="WAVELENGTH">665</MDI></Metadata>'),
    "points": pam("", f'<GCPList Projection="EPSG:4326">{POINTS}</GCPList>'),
    "tag": pam("", '<Metadata><MDI key="ACQUIRED">today</MDI></Metadata>'),
    "nodata": pam("<NoDataValue>7</NoDataValue>"),
    "name": pam("<Description>red</Description>"),
}
STATISTICS = pam(
    "<Histograms><HistItem><HistMin>0</HistMin><HistMax>9</HistMax><BucketCount>1</BucketCount><HistCounts>5</HistCounts></HistItem></Histograms><Metadata><MDI"
    ""
    ' key="STATISTICS_MEAN">5</MDI></Metadata>'
)


@pytest.mark.parametrize("said", SAID)
def test_a_sidecar_is_part_of_the_identity_of_its_source(source, said):
    sidecar = source.with_name("s.tif.aux.xml")
    bare = Scene.open(str(source)).identity
    sidecar.write_text(SAID[said])
    first = Scene.open(str(source)).identity
    assert first != bare
    sidecar.write_text(SAID[said].replace("</PAMDataset>", " </PAMDataset>"))
    assert Scene.open(str(source)).identity == first, "what it says counts, not how it is written"
    sidecar.unlink()
    assert Scene.open(str(source)).identity == bare


def test_statistics_beside_a_source_do_not_change_its_identity(source):
    with rasterio.open(source, "r+") as dataset:
        dataset.scales, dataset.units = (0.1,), ("DN",)
    bare = Scene.open(str(source)).identity
    source.with_name("s.tif.aux.xml").write_text(STATISTICS)
    with rasterio.open(source) as dataset:
        assert dataset.tags(1)["STATISTICS_MEAN"] == "5"
    assert Scene.open(str(source)).identity == bare


def test_a_mask_beside_a_source_is_part_of_its_identity(source):
    bare = Scene.open(str(source)).identity
    times = source.stat()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(source, "r+") as dataset:
        dataset.write_mask(np.eye(64, dtype=np.uint8))
    assert source.stat().st_mtime_ns == times.st_mtime_ns
    assert Scene.open(str(source)).identity != bare


def test_another_sidecar_of_the_source_is_another_result(source, tmp_path):
    target = tmp_path / "o.tif"
    geoae.restore(source, target, model="identity")
    source.with_name("s.tif.aux.xml").write_text(SAID["scale"])
    with pytest.raises(OutputError, match="--overwrite"):
        geoae.restore(source, target, model="identity")
    restored(source, target)
    with rasterio.open(target) as dataset:
        assert (dataset.scales, dataset.offsets) == ((0.0001,), (-0.1,))


@pytest.mark.parametrize("sidecar", ["s.tif.aux.xml", "s.tif.msk"])
def test_a_changed_sidecar_tries_again_what_failed(source, sidecar):
    before = SceneRef(str(source), "s.tif").stamp
    source.with_name(sidecar).write_text("")
    assert SceneRef(str(source), "s.tif").stamp not in (before, "gone")


TABLES = """<PAMDataset><PAMRasterBand band="2"><CategoryNames><Category>none</Category>
<Category>water</Category></CategoryNames><GDALRasterAttributeTable tableType="thematic">
<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn><Row index="0">
<F>1</F></Row></GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""


def test_class_names_and_tables_are_kept_beside_the_output(tmp_path):
    pixels = (texture(2, 60, 70) + noise((2, 60, 70), 9)).astype("uint16")
    source = write(tmp_path / "in.tif", pixels)
    Path(f"{source}.aux.xml").write_text(TABLES)
    report = geoae.restore(source, model="identity")
    kept = Path(f"{report.target}.aux.xml").read_text()
    assert "<Category>water</Category>" in kept
    assert "<Name>Value</Name>" in kept
    # An output without tables takes the sidecar of the one before away.
    Path(f"{source}.aux.xml").unlink()
    geoae.restore(source, model="identity", overwrite=True)
    assert not Path(f"{report.target}.aux.xml").exists()


@pytest.mark.parametrize("photometric", ["MINISBLACK", "RGB"])
@pytest.mark.parametrize("order", list(itertools.permutations("123")), ids="".join)
def test_bands_of_a_view_keep_their_colours_in_any_order(tmp_path, monkeypatch, photometric, order):
    monkeypatch.chdir(tmp_path)
    pixels = (texture(3, 60, 70) + noise((3, 60, 70), 9)).astype("uint16")
    write("in.tif", pixels, photometric=photometric)
    view = f"vrt://in.tif?bands={','.join(order)}"
    geoae.restore(view, "out.tif", model="identity")
    with rasterio.open(view) as given, rasterio.open("out.tif") as found:
        assert found.colorinterp == given.colorinterp
    assert np.array_equal(read("out.tif"), pixels[[int(band) - 1 for band in order]])
