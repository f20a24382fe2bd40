"""Restore speckle, which is multiplicative, in the logarithm, where it is additive."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from geoae.radiometry.backscatter import SpeckleKind
from geoae.radiometry.validity.black_point import find_offset
from geoae.radiometry.validity.nodata import nodata_values
from geoae.system.wording import name_range
from geoae.types import Mask, Nodata, Pixels, Samples

__all__ = ["ONE_LOOK", "SPECKLE", "Speckle"]

SPECKLE = (
    "restore speckle in the logarithm of the pixels, which are amplitude, intensity, or already in"
    " db; sigma is then noise of the logarithm"
)
# Part of the positive pixels of a band that lie below its floor: single dark pixels of speckle are
# far below all others in the logarithm.
DARKEST = 1e-3
# Integers: the floor is this many DN, below which rounding is a large part of the speckle, but no
# more than this part of the median.
ROUNDED, OF_MEDIAN = 8.0, 0.25
# Deviation of the logarithm of speckle of one look, the loudest, and a tenth for the error of the
# estimate: the root of psi_1(1), for amplitude half of it, for dB of power.
ONE_LOOK: dict[SpeckleKind, float] = {"amplitude": 0.705, "intensity": 1.41, "db": 6.13}
# Part of the pixels of pure speckle that is brighter than what passes for it, and the looks between
# which that is known.
RARE, FEW_LOOKS, MANY_LOOKS = 1e-6, 0.3, 1e5
# Largest change in the logarithm, so that no pixel overflows float32.
MOST_CHANGE = 18.0


@dataclass(frozen=True, slots=True)
class Speckle:
    """The logarithm of a scene's pixels and the way back, fixed for the whole scene.

    The mean of the logarithm of speckle is below the logarithm of its mean: by ``ln L - psi(L)``
    for intensity of L looks (Xie, Pierce and Ulaby, IEEE TGRS 40(3), 2002). Restored pixels would
    be too dark by that much, so ``bias`` is added to them. It is measured and not taken from that
    formula, which holds only where all speckle is removed and no detail with it.
    """

    kind: SpeckleKind
    """What the pixels are."""
    floor: tuple[float, ...]
    """Least value of each band that is told from darker ones, in DN; not used for dB."""
    bias: tuple[float, ...]
    """What is added to the restored logarithm of each band; for dB in dB."""
    most: tuple[float, ...] = ()
    """Largest residual of each band that may be speckle, in the unit of ``bias``; empty for none.
    What is brighter is a strong scatterer and stays as it is (Lopes, Touzi and Nezry, IEEE TGRS
    28(6), 1990).
    """
    offset: tuple[float, ...] = ()
    """What is added to each band before the logarithm, in DN, as of ``find_offset``; empty for
    none.
    """

    @classmethod
    def of(cls, kind: SpeckleKind, samples: Samples, dtype: str) -> Self:
        """Find the floors of a scene from its sample; the bias is still 0.

        Args:
            kind: what the pixels are.
            samples: pixels in DN and mask of each window, ``(band, row, col)``, as of
                ``hide_zeros``.
            dtype: type of the scene's pixels.

        """
        floors, offsets = [], []
        for band in range(len(samples[0][0])):
            values = np.concatenate([pixels[band][mask[band]] for pixels, mask in samples])
            positive = values[values > 0]
            floor = float(np.quantile(positive, DARKEST)) if positive.size else 1.0
            if positive.size and np.dtype(dtype).kind != "f":
                floor = max(floor, min(ROUNDED, OF_MEDIAN * float(np.median(positive))))
            is_rounded = kind != "db" and np.dtype(dtype).kind != "f"
            offset = find_offset(samples, band) if is_rounded else 0.0
            # Less than the floor is what rounding leaves of dark pixels, and no black point.
            offsets.append(offset if offset > floor else 0.0)
            floors.append(0.0 if offsets[-1] else floor)
        found = cls(kind, tuple(floors), (0.0,) * len(floors))
        return replace(found, offset=tuple(offsets)) if any(offsets) else found

    @property
    def unit(self) -> str:
        """Unit of noise in the logarithm, for messages."""
        return "dB" if self.kind == "db" else "of the logarithm"

    def describe(self) -> str:
        """Say in one line what is done and why."""
        if self.kind == "db":
            factors = [10.0 ** (bias / 10) for bias in self.bias]
            what = "speckle: additive, since pixels are in dB"
        else:
            factors = [float(np.exp(bias)) for bias in self.bias]
            what = f"speckle: restored in the logarithm of {self.kind}, where it is additive"
        of = "power" if self.kind == "db" else self.kind
        if self.offset:
            what += f", after {name_range(self.offset)} DN were added to pixels clipped at 0"
        return f"{what}; mean {of} kept by the factor {name_range(factors, '.3f')}"

    def embed(self, kept: Sequence[int], bands: int) -> Self:
        """Return the speckle of a scene that has more bands.

        Args:
            kept: index of each band of this one among them.
            bands: number of the bands.

        """

        def insert(values: Sequence[float], rest: float) -> tuple[float, ...]:
            found = dict(zip(kept, values, strict=True))
            return tuple(found.get(band, rest) for band in range(bands))

        most = insert(self.most, np.inf) if self.most else ()
        offset = insert(self.offset, 0.0) if self.offset else ()
        floor, bias = insert(self.floor, 1.0), insert(self.bias, 0.0)
        return replace(self, floor=floor, bias=bias, most=most, offset=offset)

    def with_limits(self, sigma: Sequence[float]) -> Self:
        """Return the speckle that leaves strong scatterers as they are.

        Args:
            sigma: noise of each band in the logarithm, which tells the number of looks.

        """
        return replace(self, most=tuple(self._limit(level) for level in sigma))

    def _limit(self, sigma: float) -> float:
        """Residual that speckle of this deviation exceeds in one of ``1 / RARE`` pixels."""
        unit = {"amplitude": 0.5, "intensity": 1.0, "db": 10 / np.log(10)}[self.kind]
        variance = (sigma / unit) ** 2
        least, most = (float(special.polygamma(1, looks)) for looks in (MANY_LOOKS, FEW_LOOKS))
        if not least < variance < most:
            return np.inf
        from scipy.optimize import brentq  # takes long to load

        looks = brentq(lambda looks: special.polygamma(1, looks) - variance, FEW_LOOKS, MANY_LOOKS)
        brightest = special.gammainccinv(looks, RARE)
        return float(unit * (np.log(brightest) - special.digamma(looks)))

    def with_zero(self, nodata: Sequence[Nodata]) -> Sequence[Nodata]:
        """Return what the pixels of each band may not become: nodata, and 0 where it has no
        logarithm.
        """
        if self.kind == "db":
            return nodata
        return [tuple({*nodata_values(value), 0}) for value in nodata]

    def to_log(self, pixels: Pixels, mask: Mask | None) -> Pixels:
        """Map pixels to those that are restored.

        Args:
            pixels: ``(band, row, col)`` in DN.
            mask: of the same shape, True where valid; None where all pixels are.

        Returns:
            Their natural logarithm, of 32 bits where these hold the pixels, else of 64; finite for
            invalid pixels too. Pixels in dB stay as they are.

        """
        if self.kind == "db":
            return pixels
        small = pixels.dtype.itemsize <= 2 or pixels.dtype == np.float32
        clean = self._clean(pixels, mask, np.float32 if small else np.float64)
        np.maximum(clean, self._column(self.floor, clean.dtype), out=clean)
        return np.log(self._add_offset(clean), out=clean)

    def sample_to_log(self, samples: Samples) -> Samples:
        """Map the windows of a sample, pixels in DN and mask ``(band, row, col)`` each."""
        return [(self.to_log(pixels, mask), mask) for pixels, mask in samples]

    def from_residual(
        self, pixels: Pixels, residual: NDArray[np.float32], mask: Mask | None
    ) -> NDArray[np.float32]:
        """Map a residual of the logarithm back.

        Args:
            pixels: ``(band, row, col)`` in DN, from which ``to_log`` was computed.
            residual: noise that was found in ``to_log(pixels)``, of the same shape.
            mask: of the same shape, True where valid; None where all pixels are.

        Returns:
            What is to be subtracted from ``pixels`` in DN; 0 exactly where the residual is 0, for
            strong scatterers, and where pixels are not valid.

        """
        change = self._column(self.bias, np.float32) - residual
        stays = residual == 0
        if self.most:
            stays |= residual > self._column(self.most, np.float32)
        if self.kind == "db":
            return np.where(stays, 0, -change).astype(np.float32)
        if mask is not None:
            stays |= ~mask
        clean = self._clean(pixels, mask, np.float64)
        factor = np.exp(np.clip(change, -MOST_CHANGE, MOST_CHANGE), dtype=np.float64)
        floored = np.maximum(clean, self._column(self.floor, np.float64))
        restored = self._add_offset(floored) * factor
        if self.offset:
            restored = np.maximum(restored - self._column(self.offset, np.float64), 0)
        return np.where(stays, 0, clean - restored).astype(np.float32)

    def linear(self, pixels: Pixels) -> Pixels:
        """Return pixels of any shape in the units whose mean is kept: DN, but power for dB."""
        if self.kind != "db":
            return pixels
        with np.errstate(over="ignore"):  # nodata of large values
            return np.power(10.0, np.asarray(pixels, np.float64) / 10)

    def to_balance(self, pixels: Pixels) -> Pixels:
        """Return what the bias multiplies: pixels ``(band, row, col)`` in the units whose mean is
        kept, with the offset added.
        """
        return self._add_offset(np.array(self.linear(pixels), np.float64))

    def balance(self, before: Sequence[float], after: Sequence[float]) -> Self:
        """Return the speckle that keeps the means.

        Args:
            before: sum of the pixels of each band of a sample, as of ``to_balance``.
            after: the same after they were restored without bias.

        """
        unit = 10 / np.log(10) if self.kind == "db" else 1.0
        ratios = [
            old / new if old > 0 and new > 0 else 1.0
            for old, new in zip(before, after, strict=True)
        ]
        return replace(self, bias=tuple(float(unit * np.log(ratio)) for ratio in ratios))

    def _add_offset(self, pixels: Pixels) -> Pixels:
        """Add the offset in place."""
        if self.offset:
            pixels += self._column(self.offset, pixels.dtype)
        return pixels

    def _clean(self, pixels: Pixels, mask: Mask | None, kind: type[np.floating[Any]]) -> Pixels:
        """Copy of the pixels in which those that are not valid have the value of the floor."""
        if mask is None:
            return pixels.astype(kind)
        return np.where(mask, pixels, self._column(self.floor, np.float64)).astype(kind)

    @staticmethod
    def _column(values: Sequence[float], kind: Any) -> NDArray[Any]:
        return np.array(values, kind)[:, None, None]
