"""The checks: each is a function of the test bench that measures one figure with a limit."""

from collections.abc import Callable

from geoae.verification.bench import Bench
from geoae.verification.finding import Finding
from geoae.verification.model_checks import bias, clean, company, determinism
from geoae.verification.pipeline_checks import files, identity, nodata, weights
from geoae.verification.tiling_checks import compare_tiles, compare_tiles_under_growth, halo, shift

__all__ = ["CHECKS", "Finding"]

CHECKS: dict[str, Callable[[Bench], Finding | None]] = {
    "identity": identity,
    "files": files,
    "weights": weights,
    "clean": clean,
    "tiled": compare_tiles,
    "varying": compare_tiles_under_growth,
    "shift": shift,
    "nodata": nodata,
    "halo": halo,
    "bias": bias,
    "determinism": determinism,
    "company": company,
}
