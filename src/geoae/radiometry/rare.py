"""Replace components that hold nothing but noise, and keep what is rare in them."""

from collections.abc import Sequence

from array_api_compat import array_namespace, device, is_numpy_array
from scipy import special

from geoae.radiometry.validity.fill import average_boxes
from geoae.types import DeviceArray, Floats

__all__ = ["REACH", "take_noise"]

# Part of the pixels of pure noise that pass for rare ones.
RARE = 1e-6
# Side of the square whose mean shows faint targets of some pixels, and how far it reaches.
SIDE = 5
REACH = SIDE // 2
# In place of the level of a component without noise, which then is 0 as well.
TINY = 1e-30


def take_noise(
    model: DeviceArray,
    which: Sequence[int],
    level: DeviceArray,
    shape: Floats | None,
) -> None:
    """Turn components of noise into their residual, in place.

    All of them is noise, but for pixels that are too far from the mean for that, such as a target
    that is too small to count in the statistics of the scene. Of these stays their value, or, where
    only the mean of a square around them is too far, that mean; both shrunk by what noise brings to
    them (James and Stein, Fourth Berkeley Symposium, 1961). The squares of all components together
    are compared with their chi-square distribution, so that it does not matter along which of them
    a target lies. Beside the scene's border, where squares hold mirrored pixels, more stays.

    Args:
        model: ``(component, row, col)`` in model units; each component of ``which`` becomes its
            residual.
        which: numbers of the components that hold nothing but noise.
        level: deviation of the noise of all components, which fits ``model``.
        shape: shape of the spectrum of the noise of all components, ``(component, 9)``; None for
            white noise.

    """
    xp = array_namespace(model)
    tiny = xp.full((), TINY, dtype=xp.float32, device=device(model))
    alone, around = xp.zeros_like(model[0]), xp.zeros_like(model[0])
    for place in which:
        relative = model[place] / xp.maximum(level[place], tiny)
        alone += xp.square(relative)
        # The mean of noise that is smooth varies more: by the noise's power at frequency 0.
        smooth = 1.0 if shape is None else max(float(shape[place, 0]), 1.0)
        around += xp.square(average_boxes(relative, SIDE, xp.float32) * (SIDE / smooth))
    limit = float(special.chdtri(len(which), RARE))
    single = alone > limit
    patch = (around > limit) & ~single
    # On a device, a look would make the host wait for all that is queued.
    if is_numpy_array(model) and not (single | patch).any():
        return
    own, mean = (
        xp.where(found, 1 - len(which) / xp.maximum(square, tiny), xp.zeros_like(square))
        for found, square in ((single, alone), (patch, around))
    )
    for place in which:
        kept = mean * average_boxes(model[place], SIDE, xp.float32) + own * model[place]
        model[place] -= kept
