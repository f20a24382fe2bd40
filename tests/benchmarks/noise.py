"""What errors of the noise estimate cost, and how well noise that is clipped or grows with the
signal is met, as Markdown.

    python -m tests.benchmarks.noise [--model NAME] [--scenes DIR]

On the scenes that the model's training kept out, in one tile, without rounding.
"""

import argparse
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from geoae.diagnosis.sampling import sample
from geoae.diagnosis.statistics import SceneStatistics
from geoae.evaluation.metrics import psnr
from geoae.evaluation.reference import GREYS, Reference
from geoae.models.restorer import Restorer, SelfEnsemble
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.job import DEFAULT_MODEL, ModelSpec
from geoae.pipeline.preparation.prepare import load_restorer
from geoae.pipeline.tiles import Work
from geoae.raster.memory import ArraySource
from geoae.resources import shipped
from geoae.simulation import PoissonGaussian
from geoae.tiling.plan import TilePlan
from geoae.tiling.window import reflect
from geoae.training.config import TrainConfig
from tests.support.doubles import Parts

FACTORS = (0.5, 0.8, 1.0, 1.25, 2.0)
SIGMAS = (5, 15, 25, 50)
# Gain and read-out noise, in 255ths of a band's span.
SHOT = ((1.0, 3.0), (4.0, 5.0), (10.0, 5.0))
# Parts of the noisy pixels that are clipped at zero.
SHARES = (0.02, 0.05, 0.1, 0.15)
SIDE = 512
ESTIMATED, EIGHT = 0.0, 8.0
WHOLE = 100_000


@dataclass
class Knowing:
    """``restorer``, told the true level (B, C, H, W) of the only tile there is."""

    restorer: Restorer
    level: np.ndarray

    def __getattr__(self, name: str) -> Any:
        return getattr(self.restorer, name)

    def __call__(
        self, pixels: np.ndarray, sigma: np.ndarray, shape: np.ndarray | None = None
    ) -> np.ndarray:
        return self.restorer(pixels, self.level.reshape(pixels.shape), shape)


def facts_of(truth: Reference, noisy: np.ndarray) -> SceneStatistics:
    return SceneStatistics.of(
        sample(
            ArraySource(noisy, np.broadcast_to(truth.valid, noisy.shape)).read, *truth.valid.shape
        )
    )


def restored(
    truth: Reference,
    noisy: np.ndarray,
    facts: SceneStatistics,
    restorer: Restorer,
    variance: np.ndarray | None = None,
) -> float:
    """PSNR in dB of ``noisy`` (band, row, col) restored by ``facts``, or by its true ``variance``
    in DN squared.
    """
    plan = TilePlan.fit(
        *truth.valid.shape, tile=WHOLE, halo=restorer.halo, multiple=restorer.multiple
    )
    scale = facts.scale(restorer.channels)
    if variance is not None:
        rows, cols = (
            reflect(axis.start(0), axis.tile, axis.size) for axis in (plan.rows, plan.cols)
        )
        restorer = Knowing(restorer, scale.level(variance[:, rows[:, None], cols]))
    parts = Parts(noisy.shape, noisy.dtype)
    mask = np.broadcast_to(truth.valid, noisy.shape)
    work = Work(plan, scale, restorer, [None] * len(noisy))
    restore_slabs(work, ArraySource(noisy, mask).read, list(plan.slabs()), parts)
    return psnr(truth.pixels, parts.pixels, truth.span.tolist(), truth.valid)


def wrong_sigma(truth: Reference, restorer: Restorer) -> dict[tuple[int, float], float]:
    """PSNR against the true sigma told, in dB: of each factor on it, of the estimate, and of the
    self-ensemble.
    """
    found = {}
    for sigma in SIGMAS:
        noisy = truth.noisy(sigma)
        told = replace(
            facts_of(truth, noisy), sigma=sigma / GREYS * truth.span, slope=np.zeros(len(noisy))
        )
        figures = [
            restored(truth, noisy, replace(told, sigma=told.sigma * factor), restorer)
            for factor in FACTORS
        ]
        best = figures[FACTORS.index(1.0)]
        found |= {
            (sigma, factor): figure - best for factor, figure in zip(FACTORS, figures, strict=True)
        }
        found[sigma, ESTIMATED] = restored(truth, noisy, facts_of(truth, noisy), restorer) - best
        found[sigma, EIGHT] = restored(truth, noisy, told, SelfEnsemble(restorer)) - best
    return found


def shot_noise(truth: Reference, restorer: Restorer) -> dict[tuple[float, str], float]:
    """PSNR in dB under signal-dependent noise: blind, and told the true noise map, or but its root
    mean square.
    """
    found = {}
    for gain, sigma in SHOT:
        damage = PoissonGaussian(gain, sigma)
        units = (truth.pixels - truth.low[:, None, None]) / truth.span[:, None, None] * GREYS
        grey = truth.span[:, None, None] / GREYS
        noisy = damage(units, np.random.default_rng(round(gain))) * grey + truth.low[:, None, None]
        variance = damage.moments(units)[1] * grey**2
        blind = facts_of(truth, noisy)
        mean = replace(
            blind, sigma=np.sqrt(variance[:, truth.valid].mean(axis=1)), slope=np.zeros(len(noisy))
        )
        found[gain, "blind"] = restored(truth, noisy, blind, restorer)
        found[gain, "told the map"] = restored(truth, noisy, mean, restorer, variance)
        found[gain, "told one level"] = restored(truth, noisy, mean, restorer)
        found[gain, "seen to depend on the signal"] = float((blind.slope > 0).mean())
    return found


def clip_at_zero(truth: Reference, sigma: float, share: float) -> tuple[Reference, np.ndarray]:
    """``truth`` with each band lowered, but not below zero, so that ``share`` of its noisy pixels
    are clipped there; and these noisy pixels.
    """
    noise = truth.noisy(sigma) - truth.pixels
    low, high = truth.low - 2 * truth.span, truth.low + truth.span

    def lowered(by: np.ndarray) -> np.ndarray:
        return np.maximum(truth.pixels - by[:, None, None], 0.0)

    for _ in range(40):
        middle = (low + high) / 2
        few = ((lowered(middle) + noise)[:, truth.valid] <= 0).mean(axis=1) < share
        low, high = np.where(few, middle, low), np.where(few, high, middle)
    return replace(truth, pixels=lowered(low)), np.maximum(lowered(low) + noise, 0.0)


def clipped_noise(
    truth: Reference, restorer: Restorer
) -> dict[tuple[int, float], tuple[float, float]]:
    """Noise clipped at zero: PSNR of blind against the true sigma told, in dB; least estimate of a
    band over the truth.
    """
    found = {}
    for sigma, share in product(SIGMAS[-2:], SHARES):
        clean, noisy = clip_at_zero(truth, sigma, share)
        blind = facts_of(clean, noisy)
        told = replace(blind, sigma=sigma / GREYS * truth.span, slope=np.zeros(len(noisy)))
        gap = restored(clean, noisy, blind, restorer) - restored(clean, noisy, told, restorer)
        found[sigma, share] = gap, float((blind.sigma / told.sigma).min())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--scenes", type=Path, default=Path("../shared/scenes/train"))
    options = parser.parse_args()
    folder = (
        shipped("models") / options.model
        if not Path(options.model).is_dir()
        else Path(options.model)
    )
    names = TrainConfig.read(folder / "train.toml").validation
    truths = [
        truth
        for truth in (Reference.read(options.scenes / name, name, SIDE) for name in names)
        if truth.span.all()
    ]
    restorer = load_restorer(ModelSpec(options.model))
    lost = [wrong_sigma(truth, restorer) for truth in truths]
    print(
        "| noise | "
        + " | ".join(f"{factor:g} times" for factor in FACTORS)
        + " | estimated | told, --tta |\n"
        + "| --- " * 8
        + "|"
    )
    for sigma in SIGMAS:
        cells = [
            fmean(scene[sigma, factor] for scene in lost) for factor in (*FACTORS, ESTIMATED, EIGHT)
        ]
        print(f"| {sigma} | " + " | ".join(f"{cell:+.2f}" for cell in cells) + " |")
    gaps = [clipped_noise(truth, restorer) for truth in truths]
    print("\n| noise | clipped | blind less told | worst | least sigma |\n" + "| --- " * 5 + "|")
    for sigma, share in product(SIGMAS[-2:], SHARES):
        cells, least = zip(*(gap[sigma, share] for gap in gaps), strict=True)
        print(
            f"| {sigma} | {share:.0%} | {fmean(cells):+.2f} | {min(cells):+.2f} |"
            f" {min(least):.2f} |"
        )
    shots = [shot_noise(truth, restorer) for truth in truths]
    heads = ("blind", "told the map", "told one level", "seen to depend on the signal")
    print(
        "\n| gain, read-out | "
        + " | ".join(heads)
        + " | worst, blind less told |\n"
        + "| --- " * 6
        + "|"
    )
    for gain, sigma in SHOT:
        cells = [fmean(scene[gain, head] for scene in shots) for head in heads]
        worst = min(scene[gain, "blind"] - scene[gain, "told the map"] for scene in shots)
        print(
            f"| {gain:g}, {sigma:g} | "
            + " | ".join(f"{cell:.2f}" for cell in cells)
            + f" | {worst:+.2f} |"
        )


if __name__ == "__main__":
    main()
