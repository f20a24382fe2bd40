"""Parameters of degradations: one value for all bands or one for each, and checks of them."""

import numpy as np

from geoae.errors import RecipeError
from geoae.types import Floats

__all__ = ["PerBand", "per_band", "require"]

PerBand = float | tuple[float, ...]


def require(name: str, value: object, fits: bool | np.bool_, cure: str) -> None:
    """Raise ``RecipeError`` unless a condition holds.

    Args:
        name: name of the parameter.
        value: value of the parameter, for the message.
        fits: the condition.
        cure: what to do, for the message.

    Raises:
        RecipeError: the condition does not hold.

    """
    if not fits:
        raise RecipeError(f"{name} = {value}: {cure}")


def per_band(name: str, value: PerBand, pixels: Floats) -> Floats:
    """Reshape a parameter so that it broadcasts over pixels.

    Args:
        name: name of the parameter, for the message.
        value: one value for all bands or one for each.
        pixels: ``(band, row, col)``.

    Returns:
        Values ``(1 or band, 1, 1)``.

    Raises:
        RecipeError: the number of values is neither 1 nor that of the bands.

    """
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    fits = len(values) in (1, len(pixels))
    require(
        name,
        value,
        fits,
        f"{len(values)} values for {len(pixels)} bands; give one, or one for each band",
    )
    return values[:, None, None]
