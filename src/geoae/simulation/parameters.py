"""Parameters of degradations: one for all bands or one for each, checked in words."""

import numpy as np

from geoae.errors import RecipeError
from geoae.types import Floats

__all__ = ["PerBand", "per_band", "require"]

PerBand = float | tuple[float, ...]


def require(name: str, value: object, fits: bool | np.bool_, cure: str) -> None:
    """Raise ``RecipeError`` unless ``fits``."""
    if not fits:
        raise RecipeError(f"{name} = {value}: {cure}")


def per_band(name: str, value: PerBand, pixels: Floats) -> Floats:
    """``value`` shaped to meet ``(band, row, col)``; raises ``RecipeError``."""
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    fits = len(values) in (1, len(pixels))
    require(
        name,
        value,
        fits,
        f"{len(values)} values for {len(pixels)} bands; give one, or one for each band",
    )
    return values[:, None, None]
