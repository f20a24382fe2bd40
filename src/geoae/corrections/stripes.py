"""Stripes: offsets of detectors, along columns or rows or tilted, repeating or not."""

from collections.abc import Callable
from dataclasses import replace

from geoae.corrections.correction import Strip, Strips
from geoae.corrections.lines import Axis, Direction
from geoae.corrections.model import Block, fit_model
from geoae.corrections.striping.fitting import Stripes, explained, fit_lines, fit_stripes
from geoae.corrections.striping.gains import fold_gains, separate_bands
from geoae.corrections.striping.profiles import Profiles, find_drift
from geoae.corrections.striping.sums import GROUPS, LineSums
from geoae.corrections.striping.tilt import find_tilts
from geoae.tiling.window import Window
from geoae.types import Array

__all__ = ["Stripes", "plan_stripes"]

# Patterns of less evidence are too weak for gains.
GAINS = 50.0
# Positions along lines that tell whether there are stripes.
FIRST = 1024
# Stripes that seem upright mostly are, unless they move by so many lines over their length.
DRIFT_UPRIGHT = 0.5
# In further passes a tilt is made exact, to so many lines over the length of the stripes.
SPREADS = (0.3, 0.1, 0.03, 0.01)
AXES: tuple[Axis, Axis] = ("column", "row")


def plan_stripes(
    strips: Strips,
    block: Block,
    height: int,
    width: int,
    clean: Callable[[Strip], Array],
) -> tuple[Stripes, ...]:
    """Look for stripes in one pass over a scene and estimate them.

    Args:
        strips: starts the pass.
        block: the middle of the scene, its lost lines filled.
        height: rows of the scene.
        width: columns of the scene.
        clean: returns the pixels of a strip, lost lines filled, finite everywhere.

    Returns:
        What to subtract: nothing where no stripes are significant.

    """
    sums: list[LineSums] = []
    for axis in AXES:
        model = fit_model(block.values, block.inside, axis)
        tilted = find_tilts(block.values, block.inside, axis, model)
        for direction in (Direction(axis), *tilted):
            sums.append(LineSums(direction, model, height, width, enough=FIRST))
    _sum_up(strips, clean, sums)
    found = [_best([one for one in sums if one.direction.axis == axis]) for axis in AXES]
    for spread in SPREADS:
        turned = [_turn(*some, spread) for some in found]
        again = [one for some in turned for one in some]
        if not again:
            break
        _sum_up(strips, clean, again)
        found = [_better(some, other) for some, other in zip(found, turned, strict=True)]
    found = _see_more(strips, clean, found)
    return tuple(
        stripes for sums, planned in found for stripes in _add_gains(strips, clean, sums, planned)
    )


def _add_gains(
    strips: Strips,
    clean: Callable[[Strip], Array],
    sums: LineSums,
    planned: tuple[Stripes, ...],
) -> tuple[Stripes, ...]:
    """Look for gains of a repeating pattern, and for single lines once more where there are."""
    if not planned or planned[0].period is None or planned[0].score.whole < GAINS:
        return planned
    direction, height, width = sums.direction, sums.height, sums.width
    pattern = planned[0]
    assert pattern.period is not None
    alone = LineSums(direction, separate_bands(sums.model), height, width, levels=True)
    _sum_up(strips, clean, [alone])
    gains, level, offsets = fold_gains(alone, pattern.period, pattern.offsets.shape[1])
    striped = (pattern.offsets != 0).any(axis=1)[:, None]
    pattern = replace(pattern, gains=gains * striped, level=level, offsets=offsets * striped)

    def remove_pattern(strip: Strip) -> Array:
        window = Window(strip.row, 0, *strip.pixels.shape[1:])
        return pattern.apply(clean(strip), strip.mask, window)

    again = LineSums(direction, sums.model, height, width)
    _sum_up(strips, remove_pattern, [again])
    single = fit_lines(again)
    return (pattern,) if single is None else (pattern, single)


def _sum_up(strips: Strips, clean: Callable[[Strip], Array], sums: list[LineSums]) -> None:
    """Sum up the lines of a scene, in one pass."""
    for strip in strips():
        pixels = clean(strip)
        for one in sums:
            one.add(strip, pixels)


def _best(options: list[LineSums]) -> tuple[LineSums, tuple[Stripes, ...]]:
    """Return the direction whose stripes explain most: they may show at other tilts, too."""
    return max(((sums, fit_stripes(sums)) for sums in options), key=explained)


def _better(
    before: tuple[LineSums, tuple[Stripes, ...]], turned: list[LineSums]
) -> tuple[LineSums, tuple[Stripes, ...]]:
    """Return what the best tilt gives."""
    return max(before, _best(turned), key=explained) if turned else before


def _see_more(
    strips: Strips,
    clean: Callable[[Strip], Array],
    found: list[tuple[LineSums, tuple[Stripes, ...]]],
) -> list[tuple[LineSums, tuple[Stripes, ...]]]:
    """Plan once more from more of a large scene, where there seem to be stripes."""
    whole = [LineSums(sums.direction, sums.model, sums.height, sums.width) for sums, _ in found]
    chosen = [
        bool(planned) and more.every < sums.every
        for more, (sums, planned) in zip(whole, found, strict=True)
    ]
    if not any(chosen):
        return found
    _sum_up(strips, clean, [more for more, sought in zip(whole, chosen, strict=True) if sought])
    return [
        (more, fit_stripes(more)) if sought else before
        for more, sought, before in zip(whole, chosen, found, strict=True)
    ]


def _turn(sums: LineSums, planned: tuple[Stripes, ...], spread: float) -> list[LineSums]:
    """Return empty sums for tilts that may be better.

    Args:
        sums: sums of a direction.
        planned: its stripes.
        spread: by how many lines over their length tilts beside the best estimate differ.

    Returns:
        Nothing where there are no stripes.

    """
    if not planned:
        return []
    drift = find_drift(Profiles.of(sums.total, sums.weight)) * GROUPS
    direction = sums.direction
    turns: set[float] = set()
    if direction.slope:
        turns = {-spread, spread, drift - spread, drift, drift + spread} - {0.0}
    elif abs(drift) >= DRIFT_UPRIGHT:
        turns = {drift}
    slopes = [direction.slope + turn / sums.length for turn in sorted(turns)]
    return [replace(sums, direction=Direction(direction.axis, slope)) for slope in slopes]
