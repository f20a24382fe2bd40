"""Scenes with known faults for the tests of corrections."""

from functools import lru_cache, partial

import numpy as np

from geoae.corrections.chain import Corrections, plan_corrections
from geoae.corrections.correction import Correction, Strips, cut_strips
from geoae.simulation import TiltedStripes
from geoae.simulation.dead_leaves import dead_leaves
from geoae.tiling.window import Read, Window
from tests.support.rasters import noise

__all__ = ["ROOM", "corrected", "plan", "plan_all", "reader", "scene", "stripe", "strips_of"]

ROOM = (3, 200, 220)


def scene(shape: tuple[int, int, int] = ROOM, sigma: float = 4.0) -> np.ndarray:
    """Shapes that occlude each other, around 1000 with a spread of 100, and noise; float32."""
    return (
        _leaves(shape[0], max(shape[1:]))[:, : shape[1], : shape[2]] + noise(shape, sigma)
    ).astype(np.float32)


@lru_cache(maxsize=4)
def _leaves(bands: int, side: int) -> np.ndarray:
    drawn = np.cbrt(dead_leaves(np.random.default_rng(8), bands, side))
    return 1000 + 100 * (drawn - drawn.mean()) / drawn.std()


def reader(pixels: np.ndarray, mask: np.ndarray | None = None) -> Read:
    def read(window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        assert window == window.clip(*pixels.shape[1:]), "never asked for what is not there"
        inside = (slice(None), *window.slices())
        return pixels[inside], None if mask is None else mask[inside]

    return read


def strips_of(pixels: np.ndarray, mask: np.ndarray | None = None) -> Strips:
    return partial(cut_strips, reader(pixels, mask), *pixels.shape)


def plan_all(pixels: np.ndarray, mask: np.ndarray | None = None) -> Corrections:
    return plan_corrections(strips_of(pixels, mask), *pixels.shape[1:])


def plan(pixels: np.ndarray, mask: np.ndarray | None = None) -> tuple[Correction, ...]:
    return plan_all(pixels, mask).steps


def corrected(pixels: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    height, width = pixels.shape[1:]
    read = plan_all(pixels, mask).wrap(reader(pixels, mask), height, width)
    return read(Window(0, 0, height, width))[0]


def stripe(pixels: np.ndarray, sigma: float, seed: int = 0, **how: object) -> np.ndarray:
    """``pixels`` with stripes of ``TiltedStripes``."""
    degraded = TiltedStripes(sigma, **how)(pixels.astype(np.float64), np.random.default_rng(seed))
    return degraded.astype(np.float32)
