import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoae.radiometry.scale import Scale
from geoae.training.samples.components import principal


def covariance_of(bands: int, rng: np.random.Generator) -> np.ndarray:
    values = rng.standard_normal((bands, 3 * bands)) * rng.uniform(1, 50, (bands, 1))
    return values @ values.T / values.shape[1]


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    group=st.integers(1, 4),
    shares_gain=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_each_map_is_that_of_a_restoration(counts, group, shares_gain, seed):
    rng = np.random.default_rng(seed)
    most = max(counts)
    covariance = np.zeros((len(counts), most, most))
    sigma = np.zeros((len(counts), most))
    for index, bands in enumerate(counts):
        sigma[index, :bands] = rng.uniform(0.5, 20, bands)
        covariance[index, :bands, :bands] = covariance_of(bands, rng) + np.diag(
            sigma[index, :bands] ** 2
        )
    present = torch.arange(most) < torch.tensor(counts)[:, None]
    found = principal(
        torch.from_numpy(covariance),
        torch.from_numpy(sigma),
        present,
        group,
        shares_gain=shares_gain,
    ).numpy()
    for index, bands in enumerate(counts):
        expected = Scale.principal(
            np.zeros(bands),
            covariance[index, :bands, :bands],
            sigma[index, :bands],
            group,
            shares_gain=shares_gain,
        ).forward
        own = found[index, : len(expected), :bands]
        # The sign of a component is arbitrary.
        signs = np.sign((own * expected).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(own * np.where(signs == 0, 1, signs), expected, atol=1e-6)
        assert not found[index, len(expected) :].any()
        assert not found[index, :, bands:].any()


@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_a_constant_band_stays_finite(sigma):
    covariance = torch.diag_embed(torch.tensor([[sigma**2, 0.0]], dtype=torch.float64))
    level = torch.tensor([[sigma, 0.0]], dtype=torch.float64)
    found = principal(covariance, level, torch.ones(1, 2, dtype=torch.bool), 2, shares_gain=True)
    assert torch.isfinite(found).all()
