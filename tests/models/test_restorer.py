import numpy as np
import pytest
import torch
from click.testing import CliRunner

from geoae.cli.app import cli
from geoae.models.restorer import Identity, SelfEnsemble
from tests.support.doubles import Blur
from tests.support.networks import save_small_network
from tests.support.rasters import read, texture, write


class Drift(Blur):
    """Finds noise that depends on where a pixel lies in its tile, and on its level."""

    def __call__(
        self, pixels: np.ndarray, sigma: np.ndarray, shape: np.ndarray | None = None
    ) -> np.ndarray:
        ramp = np.arange(pixels.shape[2])[:, None] + 10.0 * np.arange(pixels.shape[3])
        level = sigma if sigma.ndim == 4 else sigma[:, :, None, None]
        steep = 1.0 if shape is None else shape[:, :, 1, None, None]
        return (level * (steep * pixels + ramp)).astype(np.float32)


def turns(pixels: np.ndarray) -> list[np.ndarray]:
    turned = [np.rot90(pixels, quarter, axes=(2, 3)) for quarter in range(4)]
    return turned + [np.flip(each, 3) for each in turned]


@pytest.mark.parametrize("mapped", [False, True])
def test_the_ensemble_turns_with_its_tile(mapped):
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(2, 1, 16, 24)).astype(np.float32)
    level = rng.uniform(1, 2, pixels.shape).astype(np.float32)
    sigma = level if mapped else np.array([[1.0], [2.0]], np.float32)
    ensemble = SelfEnsemble(Drift())
    alone = Drift()(pixels, sigma)
    found = ensemble(pixels, sigma)
    assert found.shape == pixels.shape
    assert found.dtype == np.float32
    assert np.abs(found - alone).max() > 1
    levels = turns(level) if mapped else [sigma] * 8
    for turned, told, expected in zip(turns(pixels), levels, turns(found), strict=True):
        np.testing.assert_allclose(
            ensemble(np.ascontiguousarray(turned), told), expected, rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("mapped", [False, True])
def test_the_ensemble_turns_tensors_as_arrays(mapped):
    """Steep: a turn that the spectrum or the level does not follow shows."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(2, 1, 16, 24)).astype(np.float32)
    size = pixels.shape if mapped else (2, 1)
    given = [pixels, rng.uniform(1, 2, size), rng.uniform(0, 2, (2, 1, 9))]
    given = [array.astype(np.float32) for array in given]
    expected = SelfEnsemble(Drift())(*given)

    class OnTorch(Drift):
        def __call__(self, *arrays):
            return torch.from_numpy(super().__call__(*(array.numpy() for array in arrays)))

    found = SelfEnsemble(OnTorch())(*map(torch.from_numpy, given))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-5)


def test_the_ensemble_keeps_identity_and_says_that_it_is_one():
    pixels = np.ones((1, 1, 8, 8), np.float32)
    ensemble = SelfEnsemble(Identity())
    assert not ensemble(pixels, np.ones((1, 1), np.float32)).any()
    one = Identity()
    assert (ensemble.name, ensemble.channels, ensemble.multiple) == (
        one.name,
        one.channels,
        one.multiple,
    )
    assert (ensemble.halo, ensemble.tile, ensemble.batch(8, 8)) == (one.halo, one.tile, 1)
    assert ensemble.digest != one.digest
    assert ensemble.setting != one.setting


def test_an_order_for_an_ensemble_is_another_result(tmp_path):
    save_small_network(tmp_path / "m", head=0.01)
    source = write(tmp_path / "in.tif", texture(1, 64, 72).astype(np.float32))
    order = [
        "restore",
        str(source),
        "--model",
        str(tmp_path / "m"),
        "--sigma",
        "20",
        "--quiet",
        "-o",
    ]
    for name, flags in (("one.tif", []), ("eight.tif", ["--tta"])):
        assert (
            CliRunner()
            .invoke(cli, [*order, str(tmp_path / name), *flags], catch_exceptions=False)
            .exit_code
            == 0
        )
    assert np.abs(read(tmp_path / "one.tif") - read(tmp_path / "eight.tif")).max() > 1e-3


def test_the_ensemble_turns_the_spectrum_with_its_tile():
    """Rows become columns at a quarter turn: the drift's (0, 1/4) becomes (1/4, 0)."""
    pixels = np.random.default_rng(0).normal(size=(1, 1, 16, 24)).astype(np.float32)
    sigma = np.ones((1, 1), np.float32)
    shape = np.arange(9, dtype=np.float32).reshape(1, 1, 9)
    across = shape.reshape(1, 1, 3, 3).swapaxes(2, 3).reshape(1, 1, 9)
    ensemble = SelfEnsemble(Drift())
    found = ensemble(pixels, sigma, shape)
    for number, (turned, expected) in enumerate(zip(turns(pixels), turns(found), strict=True)):
        told = across if number % 2 else shape
        np.testing.assert_allclose(
            ensemble(np.ascontiguousarray(turned), sigma, told), expected, rtol=1e-4, atol=1e-3
        )
    assert np.abs(ensemble(pixels, sigma, across) - found).max() < 1e-3, "both count in an ensemble"
    assert np.abs(ensemble(pixels, sigma) - found).max() > 0.1


@pytest.mark.parametrize("known", [False, True])
def test_the_ensemble_takes_a_spectrum_where_its_model_does(known):
    assert SelfEnsemble(Drift(takes_spectrum=known)).takes_spectrum is known
    assert not Identity().takes_spectrum
