import numpy as np

from geoae.corrections.striping.profiles import shared_energy


def test_even_and_odd_lines_leave_little_once_they_are_taken_off():
    rng = np.random.default_rng(0)
    weight = np.ones((4, 1, 200))
    rest = rng.normal(0, 1, weight.shape)
    total = rest + np.where(np.arange(200) % 2, 30.0, -30.0)
    whole = shared_energy(total, weight, (total, weight))
    assert whole > 0
    assert shared_energy(rest, weight, (total, weight)) < 0.1 * whole
