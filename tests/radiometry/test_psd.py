import numpy as np
import pytest

from geoae.errors import RecipeError
from geoae.radiometry.psd import digest_psd, read_psd
from geoae.radiometry.resampling import LAG
from geoae.radiometry.spectrum import KERNELS, correlation_of
from tests.support.noise import correlation_of_pixels

BOX = np.ones((3, 2))


def save(path, density) -> str:
    np.save(path, density)
    return str(path)


def density_of(kernel: np.ndarray, height: int = 32, width: int = 25) -> np.ndarray:
    return np.abs(np.fft.fft2(kernel, (height, width))) ** 2


def test_white_noise_has_no_spectrum():
    assert read_psd("white", 3) is None


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"white"}))
def test_a_name_gives_each_band_the_correlation_of_the_product(name):
    found = read_psd(name, 3)
    assert found.shape == (3, 9, 9)
    assert (found == correlation_of(*KERNELS[name])).all()


@pytest.mark.parametrize("scale", [1.0, 1e-6, 900.0])
def test_a_file_gives_the_correlation_of_its_noise_in_whatever_unit(tmp_path, scale):
    name = save(tmp_path / "noise.npy", (scale * density_of(BOX)).astype(np.float32))
    found = read_psd(name, 2)
    down, across = np.zeros(9), np.zeros(9)
    down[2:7], across[3:6] = np.array([1, 2, 3, 2, 1]) / 3, [0.5, 1, 0.5]
    np.testing.assert_allclose(found, np.tile(np.outer(down, across), (2, 1, 1)), atol=1e-6)


def test_the_periodogram_of_a_calm_place_is_a_spectrum(tmp_path):
    """As a user would make one."""
    rng = np.random.default_rng(0)
    rows, cols = KERNELS["bilinear"]
    noise = cols(rows(rng.standard_normal((rows.points(200), cols.points(300))), 200, 0), 300, 1)
    name = save(tmp_path / "noise.npy", np.abs(np.fft.fft2(noise)) ** 2)
    np.testing.assert_allclose(read_psd(name, 1)[0], correlation_of_pixels(noise), atol=0.03)
    assert read_psd(name, 1)[0, LAG, LAG] == pytest.approx(1)


def test_each_band_may_have_its_own_spectrum(tmp_path):
    name = save(tmp_path / "noise.npy", np.stack([density_of(BOX), density_of(BOX.T)]))
    found = read_psd(name, 2)
    np.testing.assert_allclose(found[0], found[1].T, atol=1e-12)
    assert np.abs(found[0] - found[1]).max() > 0.1
    with pytest.raises(RecipeError, match="spectra of 2 bands, but 3 are restored"):
        read_psd(name, 3)


@pytest.mark.parametrize(
    ("density", "words"),
    [
        (np.ones((8, 20)), "has shape"),
        (np.ones(20), "has shape"),
        (np.ones((1, 1, 20, 20)), "has shape"),
        (np.zeros((20, 20)), "no power"),
        (-np.ones((20, 20)), "no power"),
        (np.full((20, 20), np.nan), "no power"),
        (np.array([["a"]]), "no array that numpy.save wrote"),
    ],
)
def test_what_is_no_spectrum_is_one_line(tmp_path, density, words):
    name = save(tmp_path / "noise.npy", density)
    with pytest.raises(RecipeError, match=words) as caught:
        read_psd(name, 1)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


def test_a_wrong_name_and_a_file_of_another_kind_are_said(tmp_path):
    with pytest.raises(RecipeError, match="did you mean bilinear"):
        read_psd("bilinaer", 1)
    with pytest.raises(RecipeError, match=r"known spectra are white, .*cubic-100/30"):
        digest_psd("/nowhere/noise.npy")
    (tmp_path / "noise.txt").write_text("1 2 3")
    with pytest.raises(RecipeError, match=r"no array that numpy\.save wrote"):
        read_psd(str(tmp_path / "noise.txt"), 1)


def test_the_digest_is_that_of_the_content(tmp_path):
    one, other = (save(tmp_path / f"{n}.npy", density_of(BOX)) for n in ("one", "other"))
    assert digest_psd(one) == digest_psd(other) != digest_psd("bilinear")
    save(tmp_path / "other.npy", density_of(BOX.T))
    assert digest_psd(one) != digest_psd(other)
