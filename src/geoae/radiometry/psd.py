"""The spectrum of the noise as users give it: a known product's name, or a file."""

import hashlib
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from geoae.errors import RecipeError
from geoae.radiometry.resampling import LAG
from geoae.radiometry.spectrum import KERNELS, correlation_of
from geoae.types import Floats

__all__ = ["WHITE", "digest_psd", "read_psd"]

# The name of noise without a spectrum of its own.
WHITE = "white"
# Frequencies along an axis that the lags of an autocovariance need.
FEWEST = 2 * LAG + 1


def read_psd(name: str, bands: int) -> Floats | None:
    """Read the spectrum of the noise.

    A file is one that ``numpy.save`` wrote: the power spectral density in the order of
    ``numpy.fft.fft2``, frequency 0 first, ``(row, col)`` for all bands or ``(band, row, col)``. Its
    unit does not count, since the noise level is given apart.

    Args:
        name: key of ``geoae.radiometry.spectrum.KERNELS``, or path of a file.
        bands: number of restored bands.

    Returns:
        Normalised autocovariance of each band ``(band, 9, 9)``; None for white noise.

    Raises:
        RecipeError: there is no such name or file, or it holds no spectrum of so many bands.

    """
    if name == WHITE:
        return None
    if name in KERNELS:
        return np.repeat(correlation_of(*KERNELS[name])[None], bands, axis=0)
    density = _load(name)
    density = density[None] if density.ndim == 2 else density
    if density.ndim != 3 or min(density.shape[1:]) < FEWEST:
        raise RecipeError(
            f"{name}: has shape {density.shape}; give a spectrum (row, col) or (band, row, col) of"
            f" {FEWEST} x {FEWEST} frequencies or more"
        )
    if len(density) not in (1, bands):
        raise RecipeError(
            f"{name}: has spectra of {len(density)} bands, but {bands} are restored; give one for"
            " each, or one for all"
        )
    power = density.mean(axis=(1, 2))
    if not (np.isfinite(density).all() and (density >= 0).all() and (power > 0).all()):
        raise RecipeError(
            f"{name}: has values that are no power; give finite numbers of 0 and more, not all of"
            " them 0"
        )
    covariance = np.fft.fftshift(np.fft.ifft2(density / power[:, None, None]).real, axes=(1, 2))
    row, col = (length // 2 for length in covariance.shape[1:])
    lags = covariance[:, row - LAG : row + LAG + 1, col - LAG : col + LAG + 1]
    return np.broadcast_to(lags, (bands, FEWEST, FEWEST)).copy()


def digest_psd(name: str) -> str:
    """Return what identifies a spectrum: its name, or the SHA-256 of the file's bytes.

    Raises:
        RecipeError: there is no such name or file.

    """
    return name if name in KERNELS else hashlib.sha256(_bytes(name)).hexdigest()


def _bytes(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        near = get_close_matches(name, KERNELS, 1)
        cure = f"did you mean {near[0]}?" if near else f"known spectra are {', '.join(KERNELS)}"
        raise RecipeError(f"{name}: no such spectrum or file; {cure}") from error


def _load(name: str) -> Floats:
    _bytes(name)  # says which names are known
    try:
        return np.asarray(np.load(name, allow_pickle=False), dtype=np.float64)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise RecipeError(
            f"{name}: is no array that numpy.save wrote; save the power spectral density with it"
        ) from error
