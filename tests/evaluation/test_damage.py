import numpy as np
import pytest
from rasterio.transform import Affine

from geoae.evaluation.damage import DAMAGES, apply_damage
from geoae.evaluation.reference import Reference
from geoae.evaluation.told import TOLD
from tests.support.rasters import noise, texture


def scene(bands: int = 2, name: str = "a.tif") -> Reference:
    # Around 0, so that gains add little to offsets.
    pixels = texture(bands, 96, 100) - 1000 + noise((bands, 96, 100), 3)
    valid = np.ones((96, 100), bool)
    valid[:4, :5] = False
    pixels[:, ~valid] = -1e6
    return Reference.of(name, pixels, valid, None, Affine.identity())


def error(name: str, truth: Reference) -> np.ndarray:
    """Errors in 255ths of the span at valid pixels, ``(band, pixel)``."""
    damaged = apply_damage(name, truth)
    excess = 255 * (damaged.pixels - truth.pixels) / truth.span[:, None, None]
    return excess[:, truth.valid]


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_does_what_it_says_to_the_same_bits(name):
    damage, truth = DAMAGES[name], scene()
    first, again = apply_damage(name, truth), apply_damage(name, truth)
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert np.isfinite(first.pixels).all()
    valid = first.truth.valid
    changed = (first.pixels != first.truth.pixels)[:, valid].any()
    assert changed == (name != "clean")
    assert set(damage.peers) <= set(TOLD)
    assert damage.description


def test_another_scene_is_damaged_in_other_places():
    one, other = (apply_damage("dead", scene(name=name)).known.lost for name in ("a", "b"))
    assert (one != other).any()


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("stripes15", 15),
        ("tilted", 50**0.5),
        ("period2", 50**0.5),
        ("halfpix10", 10),
        ("along10", 10),
        ("cubic10", 10),
        ("white25", 25),
        ("shared15", 15),
        ("shared15strong", 15),
    ],
)
def test_strengths_are_in_255ths_of_the_span(name, strength):
    assert np.sqrt((error(name, scene(6)) ** 2).mean()) == pytest.approx(strength, rel=0.12)


def test_noise_has_the_correlation_that_it_says():
    truth = scene(12)
    for name, down, across in (
        ("along10", 0.31, 0.0),
        ("halfpix10", 0.5, 0.5),
        ("cubic10", 0.88, 0.88),
    ):
        excess = (apply_damage(name, truth).pixels - truth.pixels)[:, 8:]
        power = (excess**2).mean(axis=(1, 2))
        rows = (excess[:, 1:] * excess[:, :-1]).mean(axis=(1, 2)) / power
        cols = (excess[:, :, 1:] * excess[:, :, :-1]).mean(axis=(1, 2)) / power
        assert (rows.mean(), cols.mean()) == pytest.approx((down, across), abs=0.03)


@pytest.mark.parametrize(("name", "between"), [("shared15", 0.5), ("shared15strong", 0.8)])
def test_noise_is_shared_by_bands_as_it_says(name, between):
    truth = scene(12)
    damaged = apply_damage(name, truth)
    noise = (damaged.pixels - truth.pixels)[:, truth.valid]
    found = np.corrcoef(noise)[np.triu_indices(len(noise), 1)]
    assert found == pytest.approx(between, abs=0.03)
    assert 255 * damaged.known.noise / truth.span == pytest.approx(15)


def test_what_is_lost_is_known():
    damaged = apply_damage("dead", scene(8))
    lost, valid = damaged.known.lost, damaged.truth.valid
    assert (damaged.pixels[lost] == 0).all()
    assert (lost == ((damaged.pixels != damaged.truth.pixels) & valid)).all()
    assert 0.005 < lost.mean() < 0.05


def test_stripes_are_known():
    truth = scene()
    damaged = apply_damage("stripes15", truth)
    assert (damaged.known.detectors == np.arange(100)).all()
    assert 255 * damaged.known.offsets / truth.span == pytest.approx([15, 15], rel=0.3)
    assert not damaged.known.repeats
    tilted = apply_damage("tilted", truth)
    assert tilted.known.detectors.max() == 15
    assert tilted.known.repeats
    even_odd = apply_damage("period2", truth).known.detectors
    assert np.array_equal(even_odd, np.indices((96, 100))[0] % 2)


def test_patterns_leave_the_brightness():
    truth = scene()
    shift = error("period2", truth).mean(axis=1)
    assert np.abs(shift).max() < 0.5
