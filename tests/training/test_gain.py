import math

import numpy as np
import pytest
import torch

from geoae.networks import ResCAE
from geoae.training.gain import estimate_errors, estimate_gain
from geoae.training.noisy import NoisyScene
from tests.support.rasters import noise, texture, write
from tests.training.support import NETWORK


def test_a_gain_counts_where_it_exceeds_its_spread_from_scene_to_scene():
    given = np.array([0.4, 0.2, 0.3, 0.5])
    even = estimate_gain(given, given - [0.05, 0.05, 0.04, 0.06])
    assert even.decibel == pytest.approx(10 * math.log10(0.35 / 0.30))
    assert even.error == pytest.approx(10 / math.log(10) * 0.00816 / 2 / 0.30, rel=0.01)
    assert even.is_significant
    assert not estimate_gain(given, given - [0.2, -0.05, 0.1, -0.04]).is_significant
    assert not estimate_gain(given, given + 0.05).is_significant
    assert not estimate_gain(given, given).is_significant


@pytest.mark.parametrize("adapted", [-0.1, np.nan])
def test_errors_that_cannot_be_are_no_gain(adapted):
    gain = estimate_gain(np.full(4, 0.3), np.full(4, adapted))
    assert not gain.is_significant
    assert "held out" in str(gain)


def test_a_network_that_takes_nothing_leaves_all_of_the_noise(tmp_path):
    pixels = texture(2, 256, 256) + noise((2, 256, 256), 30)
    scene = NoisyScene.read(str(write(tmp_path / "s.tif", pixels.astype(np.float32))), 1)
    network = ResCAE(**NETWORK).eval()  # predicts no noise as long as it has not been trained
    errors = estimate_errors(network, [scene, scene], seed=0)
    assert errors == pytest.approx(1.0, abs=0.1)
    torch.nn.init.constant_(network.head.bias, 0.01)
    assert (estimate_errors(network, [scene], seed=0) > errors[0]).all()
