import numpy as np
import pytest

from geoae.corrections.striping.significance import stripe_variance


@pytest.mark.parametrize(("next_line", "reach"), [(0.0, 1), (0.0, 2), (0.5, 2), (0.4, 2)])
def test_variance_of_offsets_that_lines_share(next_line, reach):
    """Of ten thousand lines, in four parts with errors of their own."""
    rng = np.random.default_rng(1)
    white = rng.normal(0, 2.0, 10_002)
    offsets = (1 - next_line) * white[1:] + next_line * white[:-1]
    means = np.diff(offsets) + np.diff(rng.normal(0, 1.0, (4, 1, 10_001)), axis=-1)
    found = stripe_variance(means, np.ones(10_000, bool), reach)
    assert found == pytest.approx([offsets.var()], rel=0.15)


def test_lines_that_do_not_count_change_nothing():
    rng = np.random.default_rng(2)
    means = rng.normal(0, 1.0, (4, 2, 200)) + rng.normal(0, 2.0, (1, 2, 200))
    usable = np.arange(200) < 150
    before = stripe_variance(means, usable, 2)
    means[..., 150:] = 1e9
    assert stripe_variance(means, usable, 2) == pytest.approx(before, rel=1e-12)
