import numpy as np
import pytest

from geoae.corrections.lines import Direction
from geoae.corrections.model import fit_model
from geoae.corrections.stripes import Stripes
from geoae.corrections.striping.offsets import line_offsets
from geoae.corrections.striping.sums import LineSums
from tests.corrections.support import plan, scene, stripe, strips_of
from tests.support.rasters import noise


def mixed(bands: int) -> np.ndarray:
    """Bands that are mixed from 3, with white noise of several levels; 256 rows."""
    rng, shape = np.random.default_rng(0), (bands, 256, 200)
    clean = np.tensordot(rng.uniform(0.2, 1.0, (bands, 3)), scene((3, 256, 200), 0.0), 1)
    return clean + rng.uniform(1.0, 3.0, (bands, 1, 1)) * noise(shape, 1.0, 3)


def leave(pixels: np.ndarray, stripes: np.ndarray) -> float:
    """What rows of ``stripes`` (band, row) leave in ``pixels``, as a part of them."""
    striped = (pixels + stripes[:, :, None]).astype(np.float32)
    model = fit_model(striped, np.ones(striped.shape, bool), "row")
    sums = LineSums(Direction("row"), model, *striped.shape[1:])
    for strip in strips_of(striped)():
        sums.add(strip, strip.pixels)
    offsets, _ = line_offsets(sums)
    left = offsets - stripes
    return float((left - left.mean(axis=1, keepdims=True)).std() / stripes.std())


@pytest.mark.parametrize("bands", [4, 64])
@pytest.mark.parametrize("strength", [3.0, 9.0])
def test_stripes_that_bands_share_are_taken_as_well_as_those_of_each_band(bands, strength):
    rng, pixels = np.random.default_rng(1), mixed(bands)
    shared = np.repeat(rng.normal(0, strength, (1, 256)), bands, axis=0)
    shares = leave(pixels, shared * rng.uniform(0.5, 1.5, (bands, 1)))
    own = leave(pixels, rng.normal(0, strength, (bands, 256)))
    assert shares < 1.1 * own
    assert own < 0.5


def test_stripes_are_taken_of_which_bands_share_a_part():
    rng, pixels = np.random.default_rng(2), mixed(64)
    own, shared = rng.normal(0, 4.0, (64, 256)), rng.normal(0, 4.0, (1, 256))
    assert leave(pixels, (own + shared) / np.sqrt(2)) < 1.4 * leave(pixels, own)


def test_edges_along_lines_are_no_stripes():
    """Parts of the lines at the rim of a bright square differ, which stripes do not."""
    pixels = scene((1, 300, 320))
    pixels[:, 90:200, 60:250] += 900
    striped = stripe(pixels, 12.0, angle=0.0, axis="row")
    found = [one for one in plan(striped) if isinstance(one, Stripes)]
    assert [one.direction for one in found] == [Direction("row")]
    true = (striped - pixels)[0, :, 0]
    wrong = found[0].offsets[0] - true - (found[0].offsets[0] - true).mean()
    rim = np.r_[85:95, 195:205]
    assert np.abs(wrong[rim]).max() < 40
    assert np.std(wrong) < 8
