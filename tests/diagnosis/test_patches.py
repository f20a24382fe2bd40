import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from geoae.diagnosis.patches import (
    SIDE,
    count_places,
    cut_patches,
    gradient_energy,
    group_bands,
    most_patches,
    pure_noise_energy,
)


@pytest.mark.parametrize("bands", [1, 24, 60, 300])
@pytest.mark.parametrize("side", [4, 60, 260])
def test_patches_are_of_the_scene_and_at_most_as_many_as_said(bands, side):
    pixels = np.arange(bands * side * side, dtype=np.float32).reshape(bands, side, side) % 9973
    mask = np.ones(pixels.shape, bool)
    mask[0, : side // 2] = False
    patches = cut_patches([(pixels, mask)])
    assert patches.values.shape == (bands, patches.count, SIDE * SIDE)
    assert (patches.count > 0) == (side - side // 2 >= SIDE and side >= SIDE)
    assert patches.count <= most_patches(bands) * (1 if bands > 24 else 4)
    assert patches.pixels <= side * side
    below = {tuple(patch) for patch in patches.values[-1, :5]}
    rows = range(side // 2, side - SIDE + 1)
    every = {
        tuple(pixels[-1, r : r + SIDE, c : c + SIDE].ravel())
        for r in rows
        for c in range(side - SIDE + 1)
    }
    assert below <= every


def test_noise_is_below_its_energy_and_flat_patches_have_none():
    noise = np.random.default_rng(0).normal(size=(20_000, SIDE * SIDE))
    assert 0.3 * pure_noise_energy() < gradient_energy(noise).max() < pure_noise_energy()
    assert not gradient_energy(np.full((3, SIDE * SIDE), 0.1)).any()


def test_bands_are_grouped_by_where_they_are_valid():
    mask = np.ones((5, 100, 100), bool)
    mask[[0, 2], :50] = False
    mask[[1, 4], 50:] = False
    mask[3] = False
    groups = group_bands([(np.zeros(mask.shape), mask)])
    assert sorted(group.tolist() for group in groups) == [[0, 2], [1, 4], [3]]


def test_bands_that_share_enough_are_one_group():
    mask = np.ones((3, 100, 100), bool)
    mask[0, :20], mask[1, -20:] = False, False
    assert [group.tolist() for group in group_bands([(np.zeros(mask.shape), mask)])] == [[0, 1, 2]]


def test_places_are_counted_by_band():
    mask = np.ones((2, 9, 12), bool)
    mask[1, 4, 6] = False
    found = count_places([(np.zeros(mask.shape), mask)] * 2)
    assert found.tolist() == [2 * 5 * 8, 2 * (5 * 8 - 25)]


def samples(mask: np.ndarray) -> list:
    return [(np.zeros(mask.shape), mask)]


def groups(mask: np.ndarray) -> list[list[int]]:
    return sorted(group.tolist() for group in group_bands(samples(mask)))


def test_places_are_those_of_whole_patches():
    mask = np.random.default_rng(0).random((2, 40, 31)) > 0.05
    whole = sliding_window_view(mask, (SIDE, SIDE), axis=(1, 2)).all(axis=(3, 4))
    assert count_places(samples(mask)).tolist() == whole.sum(axis=(1, 2)).tolist()
    assert count_places(samples(mask[:, :4])).tolist() == [0, 0]


def test_bands_of_one_mask_are_looked_at_together():
    mask = np.broadcast_to(np.random.default_rng(0).random((1, 30, 30)) > 0.5, (4, 30, 30))
    assert groups(mask) == [[0, 1, 2, 3]]


def test_an_empty_band_does_not_part_the_others():
    mask = np.ones((4, 60, 60), bool)
    mask[2] = False
    assert groups(mask) == [[0, 1, 3], [2]]


def test_bands_that_share_nothing_are_parted():
    mask = np.zeros((4, 200, 200), bool)
    mask[[0, 2], :, :90] = True
    mask[[1, 3], :, 110:] = True
    assert groups(mask) == [[0, 2], [1, 3]]


def test_a_band_of_few_pixels_does_not_lessen_what_the_others_are_seen_by():
    mask = np.ones((3, 300, 300), bool)
    mask[1, 30:] = False
    mask[2, :, 200:] = False
    assert groups(mask) == [[0, 2], [1]]


def test_bands_whose_own_gaps_add_up_are_looked_at_in_several_groups():
    mask = np.random.default_rng(0).random((12, 200, 200)) > 0.02
    found = group_bands(samples(mask))
    assert 1 < len(found) < 12
    for group in found:
        own, shared = (count_places(samples(m)) for m in (mask[group], mask[group].all(0)[None]))
        assert shared[0] >= own.max() / 2


def test_lines_that_are_missing_do_not_hide_the_rest():
    """Every sixth row begins a patch, always an odd one: a grid of even steps would see none."""
    mask = np.ones((1, 600, 600), bool)
    mask[:, ::6] = False
    patches = cut_patches(samples(mask))
    assert most_patches(1) / 2 < patches.count <= 4 * most_patches(1)
