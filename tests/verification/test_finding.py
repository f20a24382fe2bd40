import numpy as np

from geoae.verification.finding import Finding, count_differences, largest


def test_a_figure_that_is_no_number_keeps_no_promise():
    finding = Finding(measured="", figure=float("nan"), limit=1, unit="px")
    assert not finding.passed
    assert '"NaN"' in finding.model_dump_json()


def test_values_of_other_bits_are_counted():
    zero = np.array([0.0, 0.0, np.nan], np.float32)
    assert count_differences(zero, zero.copy()) == 0
    assert count_differences(np.array([-0.0, 0.0, np.nan], np.float32), zero) == 1


def test_the_largest_value_is_nan_where_there_is_one():
    assert largest(np.array([1, -3], np.float32)) == 3
    assert np.isnan(largest(np.array([1, np.nan], np.float32)))
