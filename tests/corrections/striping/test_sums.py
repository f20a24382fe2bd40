import numpy as np
import pytest

from geoae.corrections.correction import cut_strips
from geoae.corrections.lines import Direction, SceneModel
from geoae.corrections.striping.sums import LineSums
from tests.corrections.support import reader

MODEL = SceneModel(np.eye(1), np.ones(1), np.ones(1))


def add_up(pixels: np.ndarray, direction: Direction, mask: np.ndarray | None = None, **how: int):
    height, width = pixels.shape[1:]
    sums = LineSums(direction, MODEL, height, width, **how)
    for strip in cut_strips(reader(pixels, mask), len(pixels), height, width):
        sums.add(strip, strip.pixels)
    return sums


@pytest.mark.parametrize("axis", ["column", "row"])
@pytest.mark.parametrize("slope", [-0.13, 0.0, 0.2])
def test_each_valid_pixel_is_counted_in_its_line(axis, slope):
    rng = np.random.default_rng(0)
    mask = rng.random((1, 300, 170)) < 0.8
    sums = add_up(np.zeros(mask.shape, np.float32), Direction(axis, slope), mask)
    expected = np.zeros_like(sums.count)
    rows, cols = np.nonzero(mask[0])
    along, across = (rows, cols) if axis == "column" else (cols, rows)
    lines = across - np.rint(slope * along).astype(int) + sums.direction.first(sums.length)
    np.add.at(expected[0], lines, 1)
    assert np.array_equal(sums.count, expected)


@pytest.mark.parametrize("axis", ["column", "row"])
def test_a_part_of_long_lines_gives_the_same_means(axis):
    rng = np.random.default_rng(1)
    pixels = rng.normal(0, 1, (1, 60, 2100)).astype(np.float32)
    pixels += 3 * rng.normal(0, 1, (60, 1)).astype(np.float32)
    pixels = pixels if axis == "row" else np.ascontiguousarray(pixels.transpose(0, 2, 1))
    whole = add_up(pixels, Direction(axis))
    part = add_up(pixels, Direction(axis), enough=1024)
    assert (whole.every, part.every) == (1, 2)
    assert (part.weight[:, 0, :-1] > 0).all(), "all groups"
    assert part.weight.sum() == pytest.approx(whole.weight.sum() / 2, rel=0.2)
    one, other = (
        some.total[:, 0, :-1].sum(axis=0) / some.weight[:, 0, :-1].sum(axis=0)
        for some in (whole, part)
    )
    np.testing.assert_allclose(one, other, atol=0.3)


@pytest.mark.parametrize("levels", [False, True])
def test_components_are_summed_alike_together_and_alone(monkeypatch, levels):
    rng = np.random.default_rng(3)
    pixels = rng.normal(100, 5, (7, 150, 60)).astype(np.float32)
    mask = rng.random((150, 60)) < 0.9
    model = SceneModel(rng.normal(size=(7, 7)), rng.uniform(1, 2, 7), np.ones(7))

    def add(values: int) -> LineSums:
        monkeypatch.setattr("geoae.corrections.striping.sums.VALUES", values)
        sums = LineSums(Direction("column"), model, 150, 60, levels)
        for strip in cut_strips(reader(pixels, np.repeat(mask[None], 7, axis=0)), 7, 150, 60):
            sums.add(strip, strip.pixels)
        return sums

    together, alone = add(1 << 16), add(1)
    assert together.weight[..., :-1].all()
    for name in ("total", "weight", "moments"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))
