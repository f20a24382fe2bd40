"""Plots of a finished training run: its curve, and a sheet of examples."""

import csv
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from geoae.networks import predict
from geoae.training.samples.batches import Batch

__all__ = ["draw_curve", "draw_examples"]

EXAMPLES = 6


def draw_curve(logs: Path, target: Path) -> None:
    """Plot training loss and validation gain over steps.

    Args:
        logs: folder of the CSV logs of all versions of the run.
        target: image to write.

    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    gains = axes.twinx()
    # A line of two points may lie upon the other: the lower one is wider.
    styles = ((axes, "loss", "tab:grey", 4), (gains, "gain_db", "tab:blue", 1.2))
    for axis, key, colour, width in styles:
        rows = sorted(
            (int(row["step"]), float(row[key]))
            for path in sorted(logs.glob("version_*/metrics.csv"))
            for row in csv.DictReader(path.read_text().splitlines())
            if row.get(key)
        )
        if rows:
            axis.plot(*zip(*rows, strict=True), color=colour, linewidth=width)
        axis.set_ylabel(
            {"loss": "training loss", "gain_db": "validation gain, dB"}[key], color=colour
        )
    axes.set_xlabel("step")
    axes.set_yscale("log")
    figure.savefig(target, dpi=120)


@torch.inference_mode()
def draw_examples(network: nn.Module, batch: Batch, target: Path) -> None:
    """Draw the first component of some samples: noisy, restored, clean, each row in one stretch.

    Args:
        network: the trained network.
        batch: noisy chips, clean chips and sigma, each ``(B, C, H, W)`` in model units; shape of
            the noise's spectrum ``(B, C, 9)``.
        target: image to write.

    """
    network = network.float().eval()
    shown = list(zip(*batch, strict=True))[:EXAMPLES]
    figure = Figure(figsize=(7.5, 2.5 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 3, squeeze=False)
    for row, (noisy, clean, sigma, shape) in zip(axes, shown, strict=True):
        restored = noisy - predict(network, noisy[None], sigma[None], shape[None])[0]
        low, high = np.percentile(clean[0].numpy(), [1, 99])
        titles = (f"noisy, sigma {float(sigma[0].square().mean().sqrt()):.3f}", "restored", "clean")
        for axis, pixels, title in zip(row, (noisy, restored, clean), titles, strict=True):
            axis.imshow(
                pixels[0].numpy(), cmap="gray", vmin=low, vmax=high, interpolation="nearest"
            )
            axis.set_title(title, fontsize=8)
            axis.set_axis_off()
    figure.savefig(target, dpi=120)
