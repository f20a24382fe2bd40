from importlib.util import find_spec

import numpy as np
import pytest

from geoae.evaluation.baselines import BASELINES, PACKAGES
from tests.support.rasters import noise, texture


def test_every_peer_has_its_package():
    assert set(PACKAGES) == set(BASELINES)


@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_peer_told_the_noise_takes_some_away(name, bands):
    if find_spec(PACKAGES[name]) is None:
        pytest.skip(
            f"{PACKAGES[name]} is not installed: it is in the extra peers, for a venv of its own"
        )
    clean = (texture(bands, 64, 64) / 4000).astype(np.float32)
    noisy = clean + noise(clean.shape, 0.1).astype(np.float32)
    restored = BASELINES[name](noisy, 0.1)
    assert restored.shape == clean.shape
    assert ((restored - clean) ** 2).mean() < 0.7 * ((noisy - clean) ** 2).mean()
