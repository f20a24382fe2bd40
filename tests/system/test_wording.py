import numpy as np
import pytest

from geoae.system.wording import count, name_bands, name_first, name_numbers, name_range


def test_one_thing_has_no_plural():
    assert (count(1, "band"), count(2, "band"), count(0, "row")) == ("1 band", "2 bands", "0 rows")


@pytest.mark.parametrize(
    ("values", "spec", "said"),
    [
        ([2.0], ".3g", "2"),
        (np.float32([3, 1, 2]), ".3g", "1 to 3"),
        ([1.23456, 1.23457], ".3g", "1.23"),
        ([0.9996, 1.0012], ".3f", "1.000 to 1.001"),
        ([12345.0, 2.34e9], ".3g", "12300 to 2.34e+09"),
        ((value for value in (5, 4)), ".2g", "4 to 5"),
    ],
)
def test_a_range_is_one_number_where_its_ends_look_the_same(values, spec, said):
    assert name_range(values, spec) == said


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([], ""),
        ([3], "3"),
        ([3, 4], "3-4"),
        ([1, 2, 3, 7, 9, 10], "1-3, 7, 9-10"),
        ([3, 2, 1], "3, 2, 1"),
    ],
)
def test_runs_of_numbers_are_named_by_their_ends(numbers, said):
    assert name_numbers(numbers) == said


def test_bands_are_named_in_the_singular_and_the_plural():
    assert (name_bands([4]), name_bands([1, 2, 4])) == ("band 4", "bands 1-2, 4")


@pytest.mark.parametrize(("most", "said"), [(1, "a and 2 more"), (2, "a, b and 1 more")])
def test_the_first_words_are_listed_and_the_others_counted(most, said):
    assert name_first(["a", "b", "c"], most) == said
    assert name_first(["a", "b", "c"], 3) == "a, b, c"
