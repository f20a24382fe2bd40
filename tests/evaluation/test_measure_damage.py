import math

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from geoae.catalog.sources import scenes_below
from geoae.evaluation import measure_damage
from geoae.evaluation.measure_damage import evaluate_damage, told_methods
from tests.support.rasters import noise, write


@pytest.fixture
def scenes(tmp_path):
    # Mostly calm, with strong objects that both bands share.
    rough = ndimage.gaussian_filter(noise((1, 64, 60), 3.5), (0, 1.5, 1.5))
    pixels = np.clip(1000 + 300 * rough**5 + noise((2, 64, 60), 3), 1, 65535)
    write(tmp_path / "one.tif", pixels.astype(np.uint16))
    return scenes_below([tmp_path / "one.tif"])


def test_every_contender_meets_every_damage(scenes):
    rows = evaluate_damage(["identity"], scenes, ["dead", "stripes15"], peers=["best-band", "sld"])
    by = {(row.damage, row.contender): row for row in rows}
    assert list(by) == [
        ("dead", "damaged"),
        ("dead", "identity"),
        ("dead", "best-band"),
        ("stripes15", "damaged"),
        ("stripes15", "identity"),
        ("stripes15", "sld"),
    ]
    dead, same, filled = (by["dead", name] for name in ("damaged", "identity", "best-band"))
    assert same.psnr == pytest.approx(dead.psnr, abs=1e-3)
    assert (dead.found, filled.found) == (0, 1)
    assert filled.lost > dead.lost + 20
    assert math.isnan(dead.stripes)
    striped = by["stripes15", "damaged"]
    assert striped.stripes == pytest.approx(15, rel=0.3)
    assert by["stripes15", "sld"].stripes < 0.5 * striped.stripes
    assert math.isnan(striped.lost)
    assert math.isnan(striped.found)
    assert [row.told for row in rows] == [False, False, True] * 2


def test_scenes_of_8_bits_are_written_as_such(scenes, monkeypatch):
    types = []

    def look(model, source, target):
        with rasterio.open(source) as dataset:
            types.append(dataset.dtypes)
            return dataset.read().astype(float), 1.0, None

    monkeypatch.setattr(measure_damage, "restore_file", look)
    rows = evaluate_damage(["identity"], scenes, ["jpeg", "clean"], peers=[])
    assert types == [("uint8", "uint8"), ("float32", "float32")]
    assert rows[1].psnr == rows[0].psnr < 45


class Report:
    def __init__(self, steps: list[str]) -> None:
        self.steps = steps


@pytest.mark.parametrize(
    ("more", "said"), [(2, "lost {} rows in 2 bands filled"), (0, "lost {} rows in 1 band")]
)
def test_rows_filled_without_need_are_counted_where_the_report_tells_them(
    scenes, monkeypatch, more, said
):
    damaged = measure_damage.apply_damage("dead", _reference(scenes))
    rows = (damaged.known.lost.mean(axis=2) > 0.9).sum()
    report = Report(["stripes along 3 rows", said.format(rows + more)])
    truth = damaged.truth.pixels
    monkeypatch.setattr(measure_damage, "restore_file", lambda *names: (truth, 1.0, report))
    found = evaluate_damage(["identity"], scenes, ["dead"], peers=[])[1]
    assert (found.found, found.false) == (1, more)
    monkeypatch.setattr(measure_damage, "restore_file", lambda *names: (truth, 1.0, None))
    assert math.isnan(evaluate_damage(["identity"], scenes, ["dead"], peers=[])[1].false)


def test_rows_without_a_valid_pixel_are_not_counted_as_lost(scenes):
    name, path = scenes[0]
    with rasterio.open(path) as dataset:
        pixels, profile = dataset.read(), dataset.profile
    pixels[:, :20], pixels[:, :, :6] = 0, 0
    with rasterio.open(path, "w", **profile | {"nodata": 0}) as dataset:
        dataset.write(pixels)
    dead, filled = evaluate_damage([], [(name, path)], ["dead"], peers=["best-band"])
    assert (dead.found, filled.found) == (0, 1)


def _reference(scenes):
    name, path = scenes[0]
    return measure_damage.Reference.read(path, name, 512)


def test_the_methods_of_damages_are_named_once():
    assert told_methods(["stripes15", "rows", "dead", "clean"]) == [
        "sld",
        "moments",
        "wavelet-fft",
        "best-band",
        "neighbours",
    ]
