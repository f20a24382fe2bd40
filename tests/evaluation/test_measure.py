import math

import numpy as np
import pytest

from geoae.catalog.sources import scenes_below
from geoae.errors import ModelError
from geoae.evaluation import measure
from geoae.evaluation.measure import evaluate
from tests.support.networks import save_small_network
from tests.support.rasters import texture, write


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "scenes" / "deep"
    inside.mkdir(parents=True)
    write(inside / "two.tif", texture(2, 70, 60).astype(np.uint16))
    write(inside.parent / "one.TIF", texture(1, 50, 60).astype(np.uint16))
    (inside / "notes.txt").write_text("no raster")
    return inside.parent


def test_every_contender_meets_every_noise(folder, model, monkeypatch):
    monkeypatch.setitem(measure.BASELINES, "half", lambda noisy, sigma: noisy * np.float32(0.5))
    rows = evaluate(["identity", model], scenes_below([folder]), [0, 25], peers=["half"], side=48)
    told = [(row.scene, row.sigma, row.contender) for row in rows]
    # A clean scene asks nothing of peers that are told its noise.
    assert len(told) == len(set(told)) == 2 * (3 + 4)
    by = dict(zip(told, rows, strict=True))
    noisy, same = by["one.TIF", 25, "noisy"], by["one.TIF", 25, "identity"]
    assert noisy.psnr == pytest.approx(20 * math.log10(255 / 25), abs=0.4)
    # What went through a file of float32 lost nothing that counts.
    assert same.psnr == pytest.approx(noisy.psnr, abs=1e-3)
    assert same.bias == pytest.approx(0, abs=1e-3)
    assert by["one.TIF", 25, "half"].bias > 10
    assert math.isnan(noisy.angle)
    assert 0 < by["deep/two.tif", 25, "noisy"].angle < 20
    assert by["deep/two.tif", 25, model].kflop > 0
    assert by["deep/two.tif", 0, "noisy"].psnr == math.inf


def test_a_model_that_moves_the_means_is_measured_too(folder, tmp_path):
    save_small_network(tmp_path / "biased", widths=(4, 6, 8), head=1.0)
    biased = str(tmp_path / "biased")
    rows = evaluate([biased], scenes_below([folder / "one.TIF"]), [25], side=48)
    assert [row.contender for row in rows] == ["noisy", biased]
    assert rows[1].bias > 10


def test_a_model_that_does_not_exist_is_said_before_any_work(folder):
    with pytest.raises(ModelError, match="absent"):
        evaluate(["absent"], scenes_below([folder]), [25])


def test_a_band_of_one_value_does_not_count(folder):
    pixels = texture(3, 60, 60).astype(np.uint16)
    write(folder / "all.tif", pixels[[0, 2]])
    pixels[1] = 7
    write(folder / "flat.tif", pixels)
    rows = {
        row.scene: row
        for row in evaluate([], scenes_below([folder / "all.tif", folder / "flat.tif"]), [25])
    }
    assert rows["flat.tif"].psnr == pytest.approx(rows["all.tif"].psnr, abs=0.3)
    assert math.isfinite(rows["flat.tif"].ssim)
    assert rows["flat.tif"].bias == 0
