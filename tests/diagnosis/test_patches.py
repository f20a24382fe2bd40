import numpy as np
import pytest

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
