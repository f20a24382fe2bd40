import numpy as np
import pytest

from geoae.errors import InputError
from geoae.verification.bench import Bench, overlap
from geoae.verification.candidate import subject_of
from tests.support.rasters import noise, texture, write


def bench(scene=None, nodata=None) -> Bench:
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        return Bench.of(subject, None if scene is None else str(scene), nodata)


def test_the_synthetic_scene_is_always_the_same_and_noisy():
    one, other = bench(), bench()
    assert one.pixels.tobytes() == other.pixels.tobytes()
    assert one.scene == "synthetic"
    assert (one.scale.sigma > 0.01).all()


def test_it_is_large_enough_for_tiles():
    _, height, width = bench().pixels.shape
    assert min(height, width) > 2 * overlap(bench().restorer)


def test_the_middle_of_a_scene_is_used(tmp_path):
    pixels = (texture(5, 700, 600) + noise((5, 700, 600), 20)).astype(np.uint16)
    found = bench(write(tmp_path / "s.tif", pixels)).pixels
    height, width = found.shape[1:]
    top, left = (700 - height) // 2, (600 - width) // 2
    assert np.array_equal(found, pixels[:3, top : top + height, left : left + width])


def test_a_clean_scene_does_not_leave_a_model_idle(tmp_path):
    found = bench(write(tmp_path / "s.tif", texture(2, 300, 300).astype(np.float32)))
    assert found.scale.sigma[0] < 0.01
    assert found.leading_components[1].sigma.tolist() == [0.1]


def test_a_small_scene_is_continued_and_its_holes_are_filled(tmp_path):
    pixels = (texture(2, 90, 70) + noise((2, 90, 70), 20)).astype(np.float32)
    pixels[:, 30:50, 20:60] = np.nan
    found = bench(write(tmp_path / "s.tif", pixels)).pixels
    assert np.isfinite(found).all()
    assert pixels[0, :25].min() >= found.min() > 0


@pytest.mark.parametrize(
    ("pixels", "nodata", "said"),
    [
        (np.zeros((1, 300, 300), np.uint8), 0, "has no valid pixel in its middle"),
        (np.ones((1, 300, 300), np.uint8), 0, "are one value"),
        (np.ones((1, 300, 300), np.complex64), None, "complex64"),
    ],
)
def test_a_scene_that_shows_nothing_is_refused(tmp_path, pixels, nodata, said):
    with pytest.raises(InputError, match=said):
        bench(write(tmp_path / "s.tif", pixels, nodata=nodata))


def test_a_value_that_the_scene_does_not_declare_is_no_measurement(tmp_path):
    pixels = (1000 + texture(1, 700, 700) + noise((1, 700, 700), 20)).astype(np.uint16)
    pixels[:, 340:360] = 7
    path = write(tmp_path / "s.tif", pixels)
    assert bench(path).pixels.min() == 7
    assert bench(path, 7).pixels.min() > 900
