"""Quantiles are those of numpy, bit for bit."""

import numpy as np
import pytest

from geoae.diagnosis.quantiles import median, quantile, quantiles


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 2, 3, 8, 321, 20_449])
def test_they_are_those_of_numpy(length, dtype):
    rng = np.random.default_rng(length)
    for values in (rng.normal(9000, 400, length), np.rint(rng.normal(0, 3, length))):
        some = values.astype(dtype)
        assert median(some) == np.median(some)
        for share in (0.0, 0.01, 0.05, 0.16, 0.5, 0.93):
            assert quantile(some, share) == np.quantile(some, share)
        shares = np.linspace(0, 1, 9)
        assert np.array_equal(quantiles(values, shares), np.quantile(values, shares))


def test_what_is_not_a_number_makes_none():
    values = np.array([1.0, np.nan, 3.0, 2.0, 5.0])
    assert np.isnan(median(values))
    assert np.isnan(quantile(values, 0.1))
    assert np.isnan(quantiles(values, [0.1, 0.9])).all()
