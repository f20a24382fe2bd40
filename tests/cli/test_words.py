import pytest

from geoae.cli.words import duration, otherwise, size
from geoae.raster.scene import EMPTY


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "less than a second"),
        (0.6, "less than a second"),
        (1.4, "about 1 s"),
        (119, "about 119 s"),
        (125, "about 2 min"),
        (3000, "about 50 min"),
        (7000, "about 117 min"),
        (9000, "about 2 h"),
        (90_000, "about 25 h"),
    ],
)
def test_durations_are_told_as_people_do(seconds, said):
    assert duration(seconds) == said


def test_one_thing_has_no_plural():
    assert size(3, 4, 1) == "3 rows x 4 columns x 1 band"


@pytest.mark.parametrize("reason", ["not among --bands", EMPTY])
def test_bands_without_pixels_or_that_the_user_left_out_need_no_cure(reason):
    assert otherwise(reason) == ""
    assert "name it in --bands" in otherwise("alpha")
