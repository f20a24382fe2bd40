"""Whether a written output is its source with nothing but the noise changed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from geoae.diagnose import Samples, sample
from geoae.errors import InputError, OutputError
from geoae.provenance import noted
from geoae.report import RestoreReport
from geoae.scene import Scene

__all__ = ["Comparison", "compare"]

# Largest change of a band's mean that passes, as a share of its standard deviation.
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """Change of each restored band's mean, ``bias`` in DN, over the sampled windows."""

    bias: list[float]


def compare(report: RestoreReport) -> Comparison:
    """Open the output of ``report`` anew and hold it against its source.

    Size, type, georeference, nodata, names and tags must be equal, the fingerprint the report's, and band
    means within 5 % of a standard deviation. Raises ``OutputError`` with the first thing that differs.
    """
    before = Scene.open(report.source, tuple(report.bands))
    with before.reader() as old:
        given = sample(old.read, before.height, before.width) if before.bands else []
        try:
            after = Scene.open(report.target, tuple(report.bands))
            with after.reader() as new:
                _same(report, old.dataset, new.dataset)
                found = sample(new.read, after.height, after.width) if before.bands else []
        except InputError as error:
            raise OutputError(f"{error} (an output; restore it again)") from error
    return Comparison(_bias(report, given, found) if before.bands else [])


def _same(report: RestoreReport, old: DatasetReader, new: DatasetReader) -> None:
    for what, of_old, of_new in (
        ("size", old.shape, new.shape),
        ("number of bands", old.count, new.count),
        ("data type", old.dtypes, new.dtypes),
        ("CRS", old.crs, new.crs),
        ("transform", tuple(old.transform), tuple(new.transform)),
        ("nodata", repr(old.nodatavals), repr(new.nodatavals)),  # NaN differs from itself
        ("band names", old.descriptions, new.descriptions),
        ("scales", old.scales, new.scales),
        ("offsets", old.offsets, new.offsets),
    ):
        if of_old != of_new:
            raise OutputError(
                f"{report.target}: differs from its source in {what} ({of_new} for {of_old}); restore it again"
            )
    lost = [key for key in old.tags() if key not in new.tags() and not key.startswith("TIFFTAG_")]
    if lost:
        raise OutputError(f"{report.target}: lost the tag {lost[0]} of its source; restore it again")
    found = (noted(report.target) or {}).get("FINGERPRINT")
    if found != report.fingerprint:
        raise OutputError(
            f"{report.target}: holds the fingerprint {found}, not this run's; has another run written it?"
        )


def _bias(report: RestoreReport, before: Samples, after: Samples) -> list[float]:
    bias = []
    for band, index in enumerate(report.bands):
        old, new = (_values(samples, band) for samples in (before, after))
        if old.size != new.size:
            raise OutputError(f"{report.target}: band {index} has {new.size} valid sampled pixels, the source {old.size}; restore it again")  # fmt: skip
        moved = float(new.mean() - old.mean()) if old.size else 0.0
        if old.size and abs(moved) > TOLERANCE * max(float(old.std()), 1e-12):
            raise OutputError(f"{report.target}: the mean of band {index} moved by {moved:.3g} DN; inspect the scene, and say --sigma")  # fmt: skip
        bias.append(moved)
    return bias


def _values(samples: Samples, band: int) -> NDArray[np.float64]:
    return np.concatenate([pixels[band][mask[band]] for pixels, mask in samples]).astype(np.float64)
