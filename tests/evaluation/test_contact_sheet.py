import numpy as np
import pytest
from matplotlib.image import imread
from rasterio.transform import Affine

from geoae.evaluation.contact_sheet import LONG, SIDE, Sheet
from geoae.evaluation.measure import Row
from geoae.evaluation.reference import Reference
from tests.support.rasters import texture

NAN = float("nan")


def truth(name: str, bands: int, side: int = 200) -> Reference:
    valid = np.ones((side, side), bool)
    valid[side // 2 - 5 : side // 2 + 5, side // 2 - 5 : side // 2 + 5] = False
    return Reference.of(name, texture(bands, side, side), valid, None, Affine.identity())


def row(scene: str, contender: str, psnr: float, sigma: float = 25) -> Row:
    return Row(scene, 1, sigma, contender, psnr, 0.9, NAN, 1.0, 0.0, NAN, 1.0)


def test_the_sheet_shows_the_best_peer_between_noisy_and_models(tmp_path):
    sheet, rows = Sheet(25, ["model"]), []
    for name, bands in (("pan.tif", 1), ("rgbn.tif", 4), ("small.tif", 3)):
        scene = truth(name, bands, 40 if name == "small.tif" else 200)
        for contender, psnr in (("noisy", 20), ("model", 31), ("weak", 25), ("strong", 30)):
            sheet.take(scene, 25, contender, scene.pixels)
            sheet.take(scene, 50, contender, scene.pixels * 0)
            rows.append(row(name, contender, psnr))
            rows.append(row(name, contender, 99 - psnr, 50))
    psnr = {(r.scene, r.contender): r.psnr for r in rows if r.sigma == 25}
    for name, crops in sheet.crops.items():
        assert sheet._columns(name, crops, psnr) == ["noisy", "strong", "model", "clean"]
    assert sheet.crops["pan.tif"]["noisy"].shape == (SIDE, SIDE)
    assert sheet.crops["rgbn.tif"]["noisy"].shape == (SIDE, SIDE, 3)
    middle = sheet.crops["rgbn.tif"]["model"][SIDE // 2, SIDE // 2]
    np.testing.assert_array_equal(middle, 1, err_msg="what is not valid is white")
    np.testing.assert_array_equal(sheet.crops["pan.tif"]["model"], sheet.crops["pan.tif"]["clean"])
    sheet.draw(rows, tmp_path / "sheet.png")
    assert imread(tmp_path / "sheet.png").shape[0] > 3 * SIDE


@pytest.mark.parametrize("scenes", [1, 2, 8])
def test_a_sheet_of_few_scenes_is_as_large_as_one_of_many(tmp_path, scenes):
    sheet = Sheet(25, ["model"])
    for scene in (truth(f"s{number}.tif", 1) for number in range(scenes)):
        for contender in ("noisy", "model"):
            sheet.take(scene, 25, contender, scene.pixels)
    sheet.draw([], tmp_path / "sheet.png")
    height, width = imread(tmp_path / "sheet.png").shape[:2]
    assert LONG <= max(height, width) <= 2 * LONG
    assert width % (3 * SIDE) == 0, "pixels are enlarged by a whole number"
