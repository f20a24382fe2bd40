import numpy as np
import pytest

from geoae.degradations import DEGRADATIONS, Degradation, Gaussian, PoissonGaussian
from geoae.errors import RecipeError

# What each degradation is tried with: a new one adds a line.
EXAMPLES: dict[str, list[Degradation]] = {
    "gaussian": [Gaussian(12.5), Gaussian((1.0, 20.0, 0.0))],
    "poisson-gaussian": [PoissonGaussian(0.8, 3.0), PoissonGaussian((0.1, 2.0, 0.0), (0.0, 5.0, 1.0))],
}
CASES = [pytest.param(example, id=f"{name}-{i}") for name, some in EXAMPLES.items() for i, example in enumerate(some)]
DRAWS = 4000


def signal() -> np.ndarray:
    """Three bands with the values that go wrong: negative, zero, tiny, large."""
    return np.tile(np.array([-40.0, 0.0, 1e-6, 7.0, 255.0, 9000.0]), (3, 2, 1))


def test_every_degradation_has_an_example():
    assert set(EXAMPLES) == set(DEGRADATIONS)
    assert all(isinstance(example, DEGRADATIONS[name]) for name, some in EXAMPLES.items() for example in some)


@pytest.mark.parametrize("degrade", CASES)
def test_shape_type_and_input_are_kept(degrade):
    pixels = signal()
    result = degrade(pixels, np.random.default_rng(0))
    assert result.shape == pixels.shape
    assert result.dtype == np.float64
    assert not np.isnan(result).any()
    assert (pixels == signal()).all()


@pytest.mark.parametrize("degrade", CASES)
def test_same_generator_same_bits(degrade):
    first, second, other = (degrade(signal(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("degrade", CASES)
def test_bias_and_variance_are_as_stated(degrade):
    rng = np.random.default_rng(7)
    draws = np.stack([degrade(signal(), rng) for _ in range(DRAWS)])
    mean, variance = degrade.moments(signal())
    # Six standard errors of a mean, and of a variance of normal values.
    assert (np.abs(draws.mean(axis=0) - mean) <= 6 * np.sqrt(variance / DRAWS) + 1e-9).all()
    assert (np.abs(draws.var(axis=0) - variance) <= 6 * np.sqrt(2 / DRAWS) * variance + 1e-9).all()


def test_stated_moments_are_the_formulas():
    pixels = signal()
    mean, variance = PoissonGaussian((0.1, 2.0, 0.0), (0.0, 5.0, 1.0)).moments(pixels)
    assert (mean == pixels).all()
    assert variance[1, 0].tolist() == pytest.approx([25.0, 25.0, 25.0 + 2e-6, 39.0, 535.0, 18025.0])
    assert (variance[2] == 1.0).all()
    _, variance = Gaussian((1.0, 20.0, 0.0)).moments(pixels)
    assert variance[:, 0, 0].tolist() == [1.0, 400.0, 0.0]


@pytest.mark.parametrize(
    "build", [lambda: Gaussian(-1.0), lambda: PoissonGaussian(-1.0, 1.0), lambda: Gaussian(float("nan"))]
)
def test_negative_noise_is_refused(build):
    with pytest.raises(RecipeError, match="cannot be negative"):
        build()


def test_wrong_number_of_bands_is_refused():
    with pytest.raises(RecipeError, match="2 values for 3 bands"):
        Gaussian((1.0, 2.0))(signal(), np.random.default_rng(0))
