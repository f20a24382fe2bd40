"""Looks made for tests of detectors."""

import numpy as np
from scipy import ndimage

from geoae.diagnosis.finding import Look
from geoae.diagnosis.noise.covariance import NoiseCovariance
from geoae.diagnosis.noise.gate import WHITE, Evidence
from tests.support.rasters import noise, texture


def one_noise(bands: int, sigma: float = 3.0) -> NoiseCovariance:
    lags = np.zeros((bands, 9, 9))
    lags[:, 4, 4] = 1.0
    return NoiseCovariance(
        np.full(bands, sigma), np.zeros(bands), lags, (WHITE,) * bands, (Evidence.none(),) * bands
    )


def look_at(*windows: np.ndarray, valid: np.ndarray | None = None, **known: object) -> Look:
    """Bands 3, 5, 7, ... of a file."""
    bands = len(windows[0])
    masks = [np.ones(w.shape, bool) if valid is None else valid for w in windows]
    return Look(
        list(zip(windows, masks, strict=True)),
        tuple(range(3, 3 + 2 * bands, 2)),
        windows[0].dtype,
        **{"noise": one_noise(bands), **known},
    )


def noisy(bands: int = 3, side: int = 96, dtype: str = "uint16") -> np.ndarray:
    pixels = texture(bands, side, side) + noise((bands, side, side), 5.0)
    return (pixels / (8 if dtype == "uint8" else 1)).astype(dtype)


def ground(seed: int, side: int = 192) -> np.ndarray:
    """One band of ground without a period, around 1000 with a spread of some 150."""
    rough = [
        size * ndimage.gaussian_filter(noise((side, side), 100.0, seed * 9 + int(size)), size)
        for size in (1.0, 2.0, 4.0, 8.0)
    ]
    return 1000 + np.sum(rough, axis=0)[None]
