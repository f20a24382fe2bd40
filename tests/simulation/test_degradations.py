import numpy as np
import pytest

from geoae.errors import RecipeError
from geoae.simulation import (
    DEGRADATIONS,
    Blur,
    Bursts,
    ClippedGaussian,
    Correlated,
    DeadLines,
    DeadPixels,
    Degradation,
    Gaussian,
    Haze,
    Jpeg,
    Jpeg2000,
    LowContrast,
    PoissonGaussian,
    Quantisation,
    Speckle,
    Stripes,
    TiltedStripes,
)

# What each degradation is tried with; one that is not here is tried with its default values.
EXAMPLES: dict[str, list[Degradation]] = {
    "gaussian": [Gaussian(12.5), Gaussian((1.0, 20.0, 0.0)), Gaussian(12.5, 0.5)],
    "poisson-gaussian": [
        PoissonGaussian(0.8, 3.0),
        PoissonGaussian((0.1, 2.0, 0.0), (0.0, 5.0, 1.0)),
    ],
    "correlated": [
        Correlated(12.5),
        Correlated((1.0, 20.0, 0.0), "binned", gain=(0.1, 2.0, 0.0)),
        Correlated(3.0, "random", (1.0, 6.0, 7.0)),
    ],
    "stripes": [Stripes(4.0), Stripes((1.0, 0.0, 9.0), 0.05, "row", 2)],
    "clipped-gaussian": [ClippedGaussian(40.0), ClippedGaussian((40.0, 60.0, 90.0), 5.0, 250.0)],
    "tilted-stripes": [TiltedStripes(4.0, 8.0), TiltedStripes(2.0, -14.0, 0.05, "column", 2)],
    "bursts": [Bursts(0.3, 4.0), Bursts(0.05, (1.0, 2.0, 30.0), "column")],
    "dead-lines": [DeadLines(0.3), DeadLines(0.05, 255.0, "column")],
    "dead-pixels": [DeadPixels(0.3, 100.0)],
    "blur": [Blur(0.3), Blur((0.1, 0.5, 0.9))],
    "speckle": [Speckle(4.0), Speckle(1.5, decibel=True)],
    "quantisation": [Quantisation(8.0), Quantisation((0.5, 10.0, 100.0))],
    "jpeg": [Jpeg(), Jpeg(50, -50.0, (4000.0, 8000.0, 9000.0))],
    "jpeg2000": [Jpeg2000(), Jpeg2000(50.0, -50.0, 9000.0)],
    "low-contrast": [LowContrast(0.4), LowContrast((1.0, 0.5, 0.1))],
    "haze": [Haze((0.5, 0.3, 0.1), 300.0), Haze(0.4, (200.0, 100.0, 50.0), 3.0)],
}
EXAMPLES |= {name: [kind()] for name, kind in DEGRADATIONS.items() if name not in EXAMPLES}
CASES = [
    pytest.param(example, id=f"{name}-{i}")
    for name, some in EXAMPLES.items()
    for i, example in enumerate(some)
]
DRAWS = 6000
# What is not random must be as stated in each draw.
FEW = 20


def signal() -> np.ndarray:
    """Three bands with the values that go wrong: negative, zero, tiny, large."""
    return np.tile(np.array([-40.0, 0.0, 1e-6, 7.0, 255.0, 9000.0]), (3, 2, 1))


def test_every_example_is_of_its_kind():
    assert set(EXAMPLES) == set(DEGRADATIONS)
    assert all(
        isinstance(example, DEGRADATIONS[name])
        for name, some in EXAMPLES.items()
        for example in some
    )


@pytest.mark.parametrize("degrade", CASES)
def test_shape_type_and_input_are_kept(degrade):
    pixels = signal()
    result = degrade(pixels, np.random.default_rng(0))
    assert result.shape == pixels.shape
    assert result.dtype == np.float64
    assert not np.isnan(result).any()
    assert (pixels == signal()).all()
    assert (result != pixels).any()


@pytest.mark.parametrize("degrade", CASES)
def test_same_generator_same_bits(degrade):
    pixels = np.tile(signal(), (1, 6, 3))
    first, second, other = (degrade(pixels, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.tobytes() == second.tobytes()
    drawn = degrade.moments(pixels)[1].any()
    assert (first.tobytes() != other.tobytes()) == drawn, "without variance nothing is drawn"


@pytest.mark.parametrize("degrade", CASES)
def test_bias_and_variance_are_as_stated(degrade):
    rng = np.random.default_rng(7)
    mean, variance = degrade.moments(signal())
    number = DRAWS if variance.any() else FEW
    draws = np.stack([degrade(signal(), rng) for _ in range(number)])
    # Six standard errors of a mean, and of a variance given the draws' own fourth moment.
    spread = (draws - mean) ** 2
    assert (
        np.abs(draws.mean(axis=0) - mean)
        <= 6 * np.sqrt(variance / number) + 1e-12 * (1 + np.abs(mean).max())
    ).all()
    tolerance = 6 * spread.std(axis=0) / np.sqrt(number) + 1e-9 * (1 + variance)
    assert (np.abs(spread.mean(axis=0) - variance) <= tolerance).all()


WRONG = {
    "gaussian": (lambda: Gaussian(-1.0), "cannot be negative"),
    "between": (lambda: Gaussian(1.0, 1.5), "between 0 and 1"),
    "nan": (lambda: Gaussian(float("nan")), "cannot be negative"),
    "poisson": (lambda: PoissonGaussian(-1.0, 1.0), "cannot be negative"),
    "correlated": (lambda: Correlated(-1.0), "cannot be negative"),
    "correlated gain": (lambda: Correlated(1.0, gain=-1.0), "cannot be negative"),
    "kernel": (lambda: Correlated(1.0, "bilinaer"), "did you mean bilinear"),
    "stripes": (lambda: Stripes(1.0, -1.0), "cannot be negative"),
    "axis": (lambda: Stripes(1.0, axis="diagonal"), "column or row"),
    "detectors": (lambda: Stripes(1.0, detectors=0), "1 or more"),
    "angle": (lambda: TiltedStripes(1.0, 60.0), "less than 45"),
    "tilted": (lambda: TiltedStripes(-1.0, 5.0), "cannot be negative"),
    "burst share": (lambda: Bursts(2.0, 1.0), "between 0 and 1"),
    "burst": (lambda: Bursts(0.1, -1.0), "cannot be negative"),
    "limits": (lambda: ClippedGaussian(1.0, 10.0, 5.0), "less than high"),
    "share": (lambda: DeadPixels(1.5), "between 0 and 1"),
    "lines": (lambda: DeadLines(-0.1), "between 0 and 1"),
    "mtf": (lambda: Blur(1.0), "between 0 and 1"),
    "looks": (lambda: Speckle(0.0), "more than 0"),
    "step": (lambda: Quantisation(0.0), "more than 0"),
    "quality": (lambda: Jpeg(0), "1 to 100"),
    "percent": (lambda: Jpeg2000(0.0), "more than 0"),
    "jpeg limits": (lambda: Jpeg(75, 10.0, 5.0), "less than high"),
    "factor": (lambda: LowContrast(2.0), "at most 1"),
    "density": (lambda: Haze(2.0, 100.0), "between 0 and 1"),
    "wavelength": (lambda: Haze(0.5, 100.0, 0.0), "more than 0"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_impossible_parameters_are_refused(case):
    build, message = WRONG[case]
    with pytest.raises(RecipeError, match=message):
        build()


@pytest.mark.parametrize(
    "build", [lambda: Gaussian((1.0, 2.0)), lambda: Blur((0.3, 0.4)), lambda: Haze((0.1, 0.2), 9)]
)
def test_wrong_number_of_bands_is_refused(build):
    with pytest.raises(RecipeError, match="2 values for 3 bands"):
        build()(signal(), np.random.default_rng(0))
