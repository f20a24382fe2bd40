"""Check that a written output is its source with nothing but the noise changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from geoae.audit.metadata import first_difference
from geoae.diagnosis.sampling import is_small, sample
from geoae.errors import InputError, OutputError, RejectedError
from geoae.raster.checks.validate import read_error
from geoae.raster.scene import Reader, Scene
from geoae.tiling.held import hold
from geoae.tiling.window import Read, Window, windows
from geoae.types import Floats, Mask, Pixels, Samples

__all__ = ["Comparison", "compare"]


# Largest change of a band's mean that passes, as a share of its standard deviation.
TOLERANCE = 0.05
# The mean of the removed noise is random itself: so many of its standard errors are allowed in
# addition.
STANDARD_ERRORS = 4.0
CURE = "this is a fault of geoae, report it"


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """The difference between output and source on sampled windows; arrays are ``(band,)``."""

    name: str
    """Name of the output in messages."""
    bands: tuple[int, ...]
    """Restored bands, 1-based."""
    samples: Samples
    """Pixels and masks of those bands in the output."""
    count: Floats
    """Valid sampled pixels of each band."""
    spread: Floats
    """Standard deviation of each band of the source in DN."""
    bias: Floats
    """Change of the mean of each band in DN."""

    def refuse_bias(self, sigma: Floats) -> None:
        """Raise ``RejectedError`` where a mean changed by more than the removal of noise explains.

        Args:
            sigma: noise of each restored band in DN, ``(band,)``.

        """
        error = sigma / np.sqrt(np.maximum(self.count, 1))
        limit = TOLERANCE * np.maximum(self.spread, sigma) + STANDARD_ERRORS * error
        for band, bias, most in zip(self.bands, self.bias, limit, strict=True):
            if abs(bias) > max(most, 1e-12):
                raise RejectedError(
                    f"{self.name}: the mean of band {band} moved by {bias:.3g} DN, where at most"
                    f" {most:.3g} pass; correct --sigma, or choose another --model"
                )


def compare(
    scene: Scene,
    written: str,
    name: str,
    correct: Callable[[Read], Read] = lambda read: read,
    linear: Callable[[Pixels], Pixels] = lambda pixels: pixels,
) -> Comparison:
    """Compare the raster ``written`` with its source.

    Size, data type, georeference, nodata, masks, names, scales, units, colours and tags must be
    those of the source. On the sampled windows every mask, every invalid pixel and every pixel of
    the copied bands must be equal too.

    Args:
        scene: the source, which is read again.
        written: the raster to check.
        name: its name in messages.
        correct: wraps the reading of the source, so that its means are those after corrections.
        linear: maps pixels to the units in which means are compared.

    Returns:
        How the means of the restored bands changed, for the caller to judge.

    Raises:
        RejectedError: with the first difference.
        OutputError: ``written`` cannot be read.
        ReadError: the source can no longer be read.

    """
    with _readable(name):
        after = Scene.open(written, scene.bands, scene.fill)
    with scene.reader() as old, after.reader() as new:
        if difference := first_difference(old.dataset, new.dataset):
            raise RejectedError(f"{name}: differs from its source in {difference}; {CURE}")
        given, found = _hold_small(scene, old.read), _hold_small(scene, new.read)
        pair = _Pair(old, new, name, given, correct(given), found, linear)
        if scene.bands:
            samples = sample(pair.read, scene.height, scene.width)
            return Comparison(name, scene.bands, samples, *pair.moments())
        for window in windows(scene.height, scene.width):
            pair.compare_copied_bands(window)
    return Comparison(name, (), [], *np.zeros((3, 0)))


def _hold_small(scene: Scene, read: Read) -> Read:
    """Read a scene whole where its windows hold all of it."""
    if not is_small(scene.height, scene.width):
        return read
    return hold(read, len(scene.bands), scene.height, scene.width, scene.dtype)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn the ``InputError`` of an output that cannot be read into an ``OutputError``."""
    try:
        yield
    except InputError as error:
        raise OutputError(
            f"{name}: does not read as it was written ({error}); run again"
        ) from error


@dataclass(frozen=True, slots=True)
class _Pair:
    """A source and its output, read side by side.

    ``given`` and ``found`` read their restored bands, and ``expected`` the source's after
    corrections. ``seen`` collects ``_moments`` of each window, ``(band, 4)``.
    """

    old: Reader
    new: Reader
    name: str
    given: Read
    expected: Read
    found: Read
    linear: Callable[[Pixels], Pixels]
    seen: list[Floats] = field(default_factory=list)

    def read(self, window: Window) -> tuple[Pixels, Mask | None]:
        """Read a window of the output's restored bands, after comparing it with the source's."""
        given, valid = self.given(window)
        with _readable(self.name):
            found, still = self.found(window)
        self.compare_copied_bands(window)
        if valid is not None or still is not None:
            whole = np.ones(given.shape, dtype=bool)
            valid = whole if valid is None else valid
            self._compare_holes(given, valid, found, whole if still is None else still)
        if self.expected != self.given:
            given, _ = self.expected(window)
        masks = [None] * len(given) if valid is None else list(valid)
        self.seen.append(
            np.array(
                [
                    _moments(self.linear(old), self.linear(new), valid)
                    for old, new, valid in zip(given, found, masks, strict=True)
                ]
            )
        )
        return found, still

    def _compare_holes(self, given: Pixels, valid: Mask, found: Pixels, still: Mask) -> None:
        """Raise ``RejectedError`` where masks or invalid pixels differ from the source's."""
        bands = zip(self.old.scene.bands, given, valid, found, still, strict=True)
        for band, old, was_valid, new, is_valid in bands:
            if (was_valid != is_valid).any():
                raise self._differs(
                    f"the mask of band {band} ({is_valid.sum()} valid sampled pixels for"
                    f" {was_valid.sum()})"
                )
            if _bits(old[~was_valid]) != _bits(new[~was_valid]):
                raise self._differs(f"invalid pixels of band {band}")

    def compare_copied_bands(self, window: Window) -> None:
        """Raise ``RejectedError`` where a copied band, or the mask if all are copied, differs."""
        if not self.old.scene.copied:
            return
        old = _read_copied_bands(self.old, self.old.scene, window)
        with _readable(self.name):
            new = _read_copied_bands(self.new, self.old.scene, window)
        for what, pixels in old.items():
            if _bits(pixels) != _bits(new[what]):
                raise self._differs(what)

    def _differs(self, what: str) -> RejectedError:
        return RejectedError(f"{self.name}: differs from its source in {what}; {CURE}")

    def moments(self) -> tuple[Floats, Floats, Floats]:
        """Return count, standard deviation of the source and change of the mean, ``(band,)``
        each.
        """
        count, mean, variance, new = np.moveaxis(np.array(self.seen), 2, 0)
        total = np.maximum(count.sum(axis=0), 1)
        centre = (count * mean).sum(axis=0) / total
        spread = np.sqrt((count * (variance + (mean - centre) ** 2)).sum(axis=0) / total)
        return count.sum(axis=0), spread, (count * (new - mean)).sum(axis=0) / total


def _read_copied_bands(reader: Reader, scene: Scene, window: Window) -> dict[str, Pixels]:
    """Read the bands that ``scene`` copies, ``(row, col)`` each; also the mask where all are
    copied.
    """
    area = RasterWindow(window.col, window.row, window.width, window.height)
    bands, dataset = list(scene.copied), reader.dataset
    try:
        found = dict(
            zip(
                (f"the copied band {band}" for band in bands),
                dataset.read(bands, window=area),
                strict=True,
            )
        )
        if not scene.bands:
            found["the mask"] = dataset.read_masks(1, window=area) != 0
    except RasterioError as error:
        raise read_error(reader.scene.source, dataset, window, error) from error
    return found


def _moments(given: Pixels, found: Pixels, valid: Mask | None) -> tuple[float, float, float, float]:
    """Return count, mean and variance of the valid pixels, and their mean in the output."""
    old, new = (given, found) if valid is None else (given[valid], found[valid])
    if not old.size:
        return 0.0, 0.0, 0.0, 0.0
    mean, variance, other = (
        old.mean(dtype=np.float64),
        old.var(dtype=np.float64),
        new.mean(dtype=np.float64),
    )
    return float(old.size), float(mean), float(variance), float(other)


def _bits(pixels: Pixels) -> bytes:
    # GDAL loses the sign of -0.0 in a block of zeros.
    return (pixels + 0 if pixels.dtype.kind == "f" else pixels).tobytes()
