import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window as RasterWindow

from geoae.errors import BusyError, OutputError
from geoae.raster.parts import PartStore, limit_block
from geoae.system.memory import CACHE_MIB
from geoae.tiling.plan import TilePlan
from tests.support.rasters import read

PLAN = TilePlan.fit(200, 90, tile=64, halo=8, multiple=8)
SLABS = list(PLAN.slabs())
ORDER = {"fingerprint": "a", "setting": "b"}


def opened(folder: Path, order: dict | None = None, fresh: bool = False):
    return PartStore.open(folder, order or ORDER, bands=2, dtype="int16", fresh=fresh)


def fill(store: PartStore, index: int) -> np.ndarray:
    slab = SLABS[index]
    pixels = np.full((2, slab.window.height, slab.window.width), index + 1, np.int16)
    with store.writer(slab) as part:
        part.write(slab.window, pixels)
    return pixels


def test_a_part_holds_what_was_written(tmp_path):
    with opened(tmp_path / "parts") as store:
        pixels = fill(store, 1)
        assert 1 in store.finished_parts()
        assert 0 not in store.finished_parts()
        (part,) = store.parts([SLABS[1]])
        assert (part.row, part.height) == (SLABS[1].window.row, SLABS[1].window.height)
        assert np.array_equal(read(part.path), pixels)


def test_a_part_that_failed_leaves_nothing(tmp_path):
    with opened(tmp_path / "parts") as store:
        with pytest.raises(ZeroDivisionError), store.writer(SLABS[0]) as part:
            part.write(SLABS[0].window, np.ones((2, SLABS[0].window.height, 90), np.int16))
            assert 0 not in store.finished_parts(), "no name before it is complete"
            raise ZeroDivisionError
        assert not list(store.folder.glob("slab-*"))


@contextmanager
def lossy(path: Path, mode: str = "r", *, real=rasterio.open, **profile):
    """A dataset of which one row is not there when it is closed."""
    with real(path, mode, **profile) as dataset:
        yield dataset
    if mode == "w":
        with real(path, "r+") as dataset:
            dataset.write(np.zeros((2, 1, 90), np.int16), window=RasterWindow(0, 7, 90, 1))


def test_a_part_that_does_not_read_as_written_does_not_count(tmp_path, monkeypatch):
    """As GDAL leaves it where a disk ran full and it swallowed the error."""
    monkeypatch.setattr(rasterio, "open", lossy)
    with opened(tmp_path / "parts") as store:
        with pytest.raises(OutputError, match="free disk space"):
            fill(store, 0)
        assert store.finished_parts() == {}


def test_negative_zeros_read_as_written(tmp_path):
    """GDAL may forget their sign."""
    with PartStore.open(tmp_path / "parts", ORDER, bands=2, dtype="float32", fresh=False) as store:
        with store.writer(SLABS[0]) as part:
            part.write(SLABS[0].window, np.full((2, SLABS[0].window.height, 90), -0.0, np.float32))
        assert store.finished_parts()


def test_finished_parts_stay_for_the_same_order(tmp_path):
    with opened(tmp_path / "parts") as store:
        fill(store, 0)
    with opened(tmp_path / "parts") as store:
        assert 0 in store.finished_parts()
    assert json.loads((tmp_path / "parts" / "order.json").read_text()).items() >= ORDER.items()


@pytest.mark.parametrize(
    ("order", "fresh"), [({"fingerprint": "z", "setting": "b"}, False), (ORDER, True)]
)
def test_parts_of_another_order_or_a_fresh_one_go(tmp_path, order, fresh):
    with opened(tmp_path / "parts") as store:
        fill(store, 0)
    with opened(tmp_path / "parts", order, fresh) as store:
        assert 0 not in store.finished_parts()


def test_a_second_holder_is_refused(tmp_path):
    with (
        opened(tmp_path / "parts"),
        pytest.raises(BusyError, match="another run"),
        opened(tmp_path / "parts"),
    ):
        pass
    with opened(tmp_path / "parts"):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), opened(tmp_path / "file" / "parts"):
        pass


def test_remove_takes_the_folder_away(tmp_path):
    with opened(tmp_path / "parts") as store:
        fill(store, 0)
        store.remove()
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(("bands", "side"), [(3, 256), (200, 256), (512, 128), (2000, 64)])
def test_a_block_of_all_bands_stays_small(bands, side):
    assert limit_block(2 * bands, 256) == side


def test_parts_of_many_bands_have_blocks_that_the_cache_of_gdal_holds(tmp_path):
    with PartStore.open(tmp_path / "parts", ORDER, bands=400, dtype="uint16", fresh=False) as store:
        with store.writer(SLABS[0]) as part:
            part.write(SLABS[0].window, np.ones((400, SLABS[0].window.height, 90), np.uint16))
        with rasterio.open(store.parts(SLABS[:1])[0].path) as dataset:
            height, width = dataset.block_shapes[0]
            assert height * width * 2 * 400 <= CACHE_MIB << 20
