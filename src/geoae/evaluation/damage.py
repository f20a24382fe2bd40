"""Known damage of many kinds, by name."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from geoae.evaluation.damage_steps import Knowledge, Noise, Pattern, PerBand, Step, learn
from geoae.evaluation.reference import GREYS, Reference
from geoae.radiometry.resampling import Resampling
from geoae.radiometry.spectrum import KERNELS
from geoae.simulation import (
    Bursts,
    ClippedGaussian,
    DeadLines,
    DeadPixels,
    Gaussian,
    Jpeg,
    Jpeg2000,
    Quantisation,
    Stripes,
)
from geoae.simulation.correlated import Kernel
from geoae.types import Floats

__all__ = ["DAMAGES", "Damage", "Damaged", "apply_damage"]

# Noise of correlation 0.31 from row to row and 0 from column to column: a detector with a memory.
ALONG: Kernel = (Resampling(taps=(0.31**3, 0.31**2, 0.31, 1.0)), Resampling())


@dataclass(frozen=True, slots=True)
class Damage:
    """A known damage."""

    description: str
    """What it is, for a reader."""
    steps: Callable[[PerBand], Sequence[Step]]
    """From one 255th of each band's span in DN to the degradations, in their order."""
    peers: tuple[str, ...] = ()
    """Keys of ``geoae.evaluation.told.TOLD``: the best methods known."""
    start: Callable[[Reference], Reference] = lambda scene: scene
    """What is done to the scene first. The result counts as the truth."""


@dataclass(frozen=True, eq=False, slots=True)
class Damaged:
    """A damaged scene."""

    truth: Reference
    """The scene before the damage."""
    pixels: Floats
    """Damaged pixels ``(band, row, col)`` in DN."""
    known: Knowledge
    """What a peer may be told."""


def apply_damage(name: str, scene: Reference) -> Damaged:
    """Damage a scene. The same scene and damage give the same result.

    Args:
        name: key of ``DAMAGES``.
        scene: the scene.

    Returns:
        The damaged scene and what is known about the damage.

    Raises:
        InputError: too little of the scene is valid for this damage.

    """
    truth = DAMAGES[name].start(scene)
    rng = np.random.default_rng(zlib.crc32(f"{name} {scene.name}".encode()))
    # Invalid pixels may hold any value; the band's median keeps it out of sums.
    middle = np.median(truth.pixels[:, truth.valid], axis=1)
    pixels = np.where(truth.valid, truth.pixels, middle[:, None, None])
    known = Knowledge(truth.valid)
    for step in DAMAGES[name].steps(tuple((truth.span / GREYS).tolist())):
        before, pixels = pixels, step(pixels, rng)
        known = learn(known, step, before, pixels)
    return Damaged(truth, pixels, known)


def _times(factor: float, one: PerBand) -> PerBand:
    return tuple(factor * unit for unit in one)


def _noise(level: float, kernel: str | Kernel, description: str) -> Damage:
    known = KERNELS[kernel] if isinstance(kernel, str) else kernel
    return Damage(description, lambda one: [Noise(_times(level, one), known)], ("pca-bm3d",))


def _shared_noise(level: float, between: float) -> Damage:
    description = f"white noise of {level:g}, correlated by {between:g} from band to band"
    return Damage(description, lambda one: [Gaussian(_times(level, one), between)])


# Strengths are in 255ths of a band's range from its 0.5th to its 99.5th percentile.
DAMAGES: dict[str, Damage] = {
    "stripes15": Damage(
        "an offset of 15 and a gain of 1 % for each column",
        lambda one: [Stripes(_times(15, one), 0.01)],
        ("sld", "moments", "wavelet-fft"),
    ),
    "stripes5n5": Damage(
        "an offset of 5 and a gain of 0.5 % for each column, white noise of 5",
        lambda one: [Stripes(_times(5, one), 0.005), Noise(_times(5, one))],
        ("sld", "moments", "sld-pca-bm3d"),
    ),
    "tilted": Damage(
        "offsets of 5 of 16 detectors, along rows tilted by 7.5 degrees, white noise of 5",
        lambda one: [Pattern(_times(5, one), 16, 7.5), Noise(_times(5, one))],
        ("sld", "moments", "sld-pca-bm3d"),
    ),
    "period2": Damage(
        "offsets of 5 of even and odd rows, white noise of 5",
        lambda one: [Pattern(_times(5, one), 2), Noise(_times(5, one))],
        ("sld", "moments", "sld-pca-bm3d"),
    ),
    "rows": Damage(
        "an offset of 15 and a gain of 1 % for each row",
        lambda one: [Stripes(_times(15, one), 0.01, "row")],
        ("sld", "moments", "wavelet-fft"),
    ),
    "dead": Damage(
        "2 % of each band's rows and 0.1 % of its pixels lost",
        lambda one: [DeadLines(0.02), DeadPixels(0.001)],
        ("best-band", "neighbours"),
    ),
    "bursts": Damage(
        "white noise of 25 in 5 % of each band's rows",
        lambda one: [Bursts(0.05, _times(25, one))],
        ("best-band", "neighbours"),
    ),
    "shared15": _shared_noise(15, 0.5),
    "shared15strong": _shared_noise(15, 0.8),
    "halfpix10": _noise(10, "bilinear", "noise of 10 that was moved by half a pixel"),
    "along10": _noise(10, ALONG, "noise of 10 of correlation 0.31 from row to row"),
    "cubic10": _noise(
        10, "cubic-100/30", "noise of 10 that was resampled from 100 m to 30 m by cubic convolution"
    ),
    "mixed": Damage(
        "column offsets of 5, noise of 10 of correlation 0.31 from row to row, 1 % of rows lost",
        lambda one: [Stripes(_times(5, one)), Noise(_times(10, one), ALONG), DeadLines(0.01)],
        ("fill-sld", "fill-sld-pca-bm3d"),
    ),
    "clean": Damage("means of 4 x 4 px: nothing to do", lambda one: [], start=Reference.clean),
    "clipped": Damage(
        "white noise of 25 in 8 bits, clipped",
        lambda one: [ClippedGaussian(_times(25, one), 0.0, float(GREYS)), Quantisation(1.0)],
        ("pca-bm3d",),
        Reference.eight_bits,
    ),
    "jpeg": Damage(
        "JPEG of quality 75, band by band", lambda one: [Jpeg(75)], start=Reference.eight_bits
    ),
    "jpeg2000": Damage(
        "lossy JPEG 2000 at 10 % of the size of 8 bits",
        lambda one: [Jpeg2000(5.0, 0.0, float(GREYS)), Quantisation(1.0)],
        start=Reference.eight_bits,
    ),
    "white10": _noise(10, "white", "white noise of 10"),
    "white15": _noise(15, "white", "white noise of 15"),
    "white25": _noise(25, "white", "white noise of 25"),
    "white50": _noise(50, "white", "white noise of 50"),
}
