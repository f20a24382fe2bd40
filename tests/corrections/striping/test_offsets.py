import numpy as np

from geoae.corrections.lines import Direction
from geoae.corrections.stripes import Stripes
from tests.corrections.support import plan, scene, stripe


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
