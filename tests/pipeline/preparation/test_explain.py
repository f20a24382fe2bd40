from types import SimpleNamespace

import numpy as np
import pytest

from geoae.diagnosis.statistics import SceneStatistics
from geoae.models.restorer import Identity
from geoae.pipeline.preparation.explain import (
    describe_between,
    describe_noise,
    describe_sharpened,
    explain_empty,
    explain_ignored,
    explain_left_out,
    explain_missed,
    explain_unchanged,
)
from tests.support.rasters import noise, texture


def facts(pixels: np.ndarray, **given: object) -> tuple[list, SceneStatistics]:
    samples = [(pixels, np.ones(pixels.shape, bool))]
    return samples, SceneStatistics.of(samples, **given, seeks_spectrum=True)


def network(*, takes_spectrum: bool) -> SimpleNamespace:
    return SimpleNamespace(name="fake", takes_spectrum=takes_spectrum)


def test_white_noise_is_told_with_its_bands():
    _, found = facts(1000 + noise((3, 200, 200), 20.0))
    (line,) = describe_noise([1, 2, 4], found)
    assert line.endswith("DN in bands 1-2, 4, white noise")


def test_a_level_that_is_given_is_not_doubted():
    small = 1000 + noise((1, 40, 40), 20.0)
    _, found = facts(small)
    assert "cannot be told from texture" in describe_noise([1], found)[0]
    _, given = facts(small, sigma=[15.0])
    assert describe_noise([1], given) == ["noise: 15 DN in band 1, white noise"]


def test_flat_bands_show_no_noise_and_texture_is_named():
    pixels = np.full((2, 120, 120), 7.0)
    samples, found = facts(pixels)
    (line,) = explain_unchanged("in.tif", [1, 2], samples, found)
    assert line == "in.tif: no noise can be seen in bands 1-2; unchanged unless --sigma is given"
    samples, found = facts(texture(1, 300, 300))
    (line,) = explain_unchanged("in.tif", [3], samples, found)
    assert "noise cannot be told from texture in band 3" in line


def test_bands_that_are_no_measurements_are_one_line_for_each_reason():
    copied = {1: "alpha", 3: "palette", 4: "palette"}
    assert explain_left_out("in.tif", copied) == [
        "in.tif: band 1 not looked at: alpha",
        "in.tif: bands 3-4 not looked at: palette",
    ]


@pytest.mark.parametrize("bands", [[], [2], [1, 2, 3, 5]])
def test_empty_bands_are_one_line(bands):
    assert len(explain_empty("in.tif", bands)) == bool(bands)


def test_a_model_that_denoises_nothing_ignores_no_spectrum():
    assert explain_ignored(Identity(), "bilinear") == []


def test_noise_after_sharpening_is_told_with_what_becomes_of_it():
    _, found = facts(1000 + noise((2, 100, 100), 20.0), sigma=[4.0, 8.0])
    for restorer, fate in (
        (Identity(), "which stays, since no network runs"),
        (network(takes_spectrum=True), "of which the network is told level and spectrum"),
        (network(takes_spectrum=False), "of which the network is told the level alone"),
    ):
        (line,) = describe_sharpened([1, 3], found, restorer)
        assert line == f"noise after sharpening: 4 to 8 DN in bands 1, 3, {fate}"


def test_a_model_without_spectrum_is_named_where_it_matters():
    (line,) = explain_ignored(network(takes_spectrum=False), None, sharpens=True)
    assert line.startswith(
        "fake: takes no spectrum of the noise, but sharpening correlates the noise"
    )
    (line,) = explain_ignored(network(takes_spectrum=False), "bilinear", sharpens=True)
    assert line.startswith("fake: takes no spectrum of the noise; --psd sets only its level, and")
    assert explain_ignored(network(takes_spectrum=False), None) == []
    assert explain_ignored(network(takes_spectrum=True), None, sharpens=True) == []
    assert explain_ignored(Identity(), None, sharpens=True) == []


def test_steps_without_anything_to_do_are_named_in_their_order():
    asked = ["bursts", "noise", "stripes", "lines"]
    assert explain_missed(asked, ["lines", "stripes", "noise"], {"stripes"}) == [
        "lines: none found",
        "bursts: not looked for in speckle",
        "noise: none found",
    ]
    assert explain_missed([], ["lines"], set()) == []


def test_noise_that_bands_share_is_one_line():
    assert describe_between([1, 2], None) == []
    between = np.eye(3)
    between[0, 2] = between[2, 0] = 0.61
    # What a sample shows by chance of bands that share nothing.
    between[0, 1] = between[1, 0] = 0.04
    (line,) = describe_between([1, 2, 4], between)
    assert line == "noise: correlated from band to band by 0.61 in bands 1, 4; whitened"
