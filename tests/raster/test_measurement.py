"""A claim of a file is held against name and values, and a person's word outweighs all."""

import numpy as np
import pytest
from rasterio.enums import ColorInterp
from scipy import ndimage

from geoae.radiometry.band_names import CLASSES, Meaning
from geoae.raster.measurement import BY_VALUES, Claims, Verdict, judge
from tests.support.alphas import ALPHAS, FOOTPRINT, HILLS, MEASUREMENTS, NOISY, SIDE, sampled, whole
from tests.support.rasters import noise


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        (Claims(ColorInterp.gray, "red"), None),
        (Claims(ColorInterp.undefined, "mass"), None),
        (Claims(ColorInterp.palette), "palette"),
        (Claims(ColorInterp.gray, bits="1"), "1-bit mask"),
        (Claims(ColorInterp.gray, "cloud_mask"), "quality or class band"),
        (Claims(ColorInterp.gray, "Band 4 (quality assured)"), None),
        (Claims(ColorInterp.gray, file=Meaning(CLASSES)), CLASSES),
        (Claims(ColorInterp.gray, "red", classified=True), CLASSES),
    ],
)
def test_what_files_say(claims, kind):
    assert judge(claims) == Verdict(kind)
    assert judge(claims, asked=True) == Verdict(None, against=kind)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("", "a cut-out", "alpha"),
        ("", "noisy", None),
        ("NIR", "noisy", None),
        ("near_infrared", "a tenth of it saturated", None),
        ("NIR", "blurred by 15 px", None),
        ("NIR", "a cut-out", "alpha"),
        ("alpha", "noisy", "alpha"),
        ("QA_PIXEL", "noisy", "quality or class band"),
    ],
)
def test_the_tag_alpha_is_held_against_name_and_values(name, values, kind):
    verdict = judge(Claims(ColorInterp.alpha, name), sampled((ALPHAS | MEASUREMENTS)[values]))
    assert verdict == Verdict(kind, None if kind else "alpha")


PATCHES = np.digitize(HILLS + noise((SIDE, SIDE), 0.03), [0.3, 0.5, 0.7])
FLAGS = np.array([21824, 22280, 21952, 54596], np.uint16)[PATCHES]


@pytest.mark.parametrize(
    ("name", "values", "verdict"),
    [
        ("", FLAGS, Verdict(BY_VALUES)),
        ("band 3", FLAGS, Verdict(BY_VALUES)),
        ("cloud", whole(FOOTPRINT), Verdict(CLASSES)),
        ("cloud", PATCHES, Verdict(CLASSES)),
        ("cloud", NOISY, Verdict(None, CLASSES)),
        ("class A red", PATCHES, Verdict(None)),
        ("", PATCHES, Verdict(None)),
        ("", whole(NOISY), Verdict(None)),
    ],
)
def test_values_decide_where_the_name_does_not(name, values, verdict):
    assert judge(Claims(ColorInterp.gray, name), sampled(values)) == verdict
    asked = judge(Claims(ColorInterp.gray, name), sampled(values), asked=True)
    assert asked.kind is None
    assert judge(Claims(ColorInterp.gray, restored=True), sampled(FLAGS)) == Verdict(None)


def test_what_geoae_has_restored_stays_a_measurement():
    smooth = sampled(whole(ndimage.gaussian_filter(FOOTPRINT * 255.0, 15)))
    assert judge(Claims(ColorInterp.alpha, restored=True), smooth) == Verdict(None, "alpha")
