"""Lines for the user on what is done to a scene, what is not, and why."""

from collections.abc import Mapping, Sequence, Set

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.chain import STEPS
from geoae.diagnosis.noise.between import LEAST
from geoae.diagnosis.noise.gate import CORRELATED, TEXTURE
from geoae.diagnosis.statistics import SceneStatistics, find_untold
from geoae.models.restorer import Identity, Restorer
from geoae.radiometry.psd import WHITE
from geoae.system.wording import name_bands, name_range
from geoae.types import Floats, Mask, Samples

__all__ = [
    "SHARPENED",
    "describe_between",
    "describe_noise",
    "describe_sharpened",
    "explain_contradicted",
    "explain_empty",
    "explain_ignored",
    "explain_left_out",
    "explain_missed",
    "explain_unchanged",
    "explain_unknown",
]

# What happens to bands of unknown noise where sharpening is asked for.
SHARPENED = "sharpened, and only noise that is certain is removed"


def describe_noise(bands: Sequence[int], facts: SceneStatistics, unit: str = "DN") -> list[str]:
    """Say what is taken for noise and why: one line for each kind.

    Args:
        bands: numbers of the bands.
        facts: their statistics.
        unit: of the noise.

    """
    found = facts.noise
    if found is None:
        white = np.flatnonzero(facts.sigma > 0)
        kind = "white noise" if facts.correlation is None else "noise with the given spectrum"
        return [f"noise: {_levels(bands, facts, white, unit)}, {kind}"] if white.size else []
    lines = []
    for kernel in dict.fromkeys(seen.kernel for seen in found.evidence):
        same = [
            index
            for index, seen in enumerate(found.evidence)
            if found.verdict[index] == CORRELATED and seen.kernel == kernel
        ]
        if same:
            lag = found.correlation[same]
            down, across = np.median(lag[:, 5, 4]), np.median(lag[:, 4, 5])
            lines.append(
                f"noise: {_levels(bands, facts, same, unit)}, correlated with the next pixel by"
                f" {down:.2f} down and {across:.2f} across, like white noise after {kernel}"
            )
    verdicts = np.array(found.verdict)
    # A level that the user gives is taken as it is.
    doubtful = (verdicts == TEXTURE) & (facts.sigma == found.sigma)
    white = np.flatnonzero((verdicts != CORRELATED) & ~doubtful & (facts.sigma > 0))
    if white.size:
        lines.append(f"noise: {_levels(bands, facts, white, unit)}, white noise")
    untold = np.flatnonzero(doubtful & (facts.sigma > 0))
    if untold.size:
        lines.append(
            f"noise: {_levels(bands, facts, untold, unit)}, the white part alone; the rest cannot"
            " be told from texture and stays; if it is noise, give its spectrum (--psd)"
        )
    return lines


def describe_between(bands: Sequence[int], between: Floats | None) -> list[str]:
    """Say in which bands the noise is correlated from band to band: one line, or none.

    Args:
        bands: numbers of the bands.
        between: correlation of the noise from band to band, ``(band, band)``; None for none.

    """
    if between is None:
        return []
    apart = np.triu(between, 1)
    pairs = np.abs(apart) >= LEAST
    shared = np.flatnonzero(pairs.any(axis=0) | pairs.any(axis=1))
    if not shared.size:
        return []
    return [
        f"noise: correlated from band to band by {name_range(apart[pairs], '.2f')} in"
        f" {name_bands([bands[index] for index in shared.tolist()])}; whitened"
    ]


def describe_components(signal: Mask | None) -> list[str]:
    """Say how many components are left out of the network.

    Args:
        signal: which components hold more than noise; None for all.

    """
    if signal is None or signal.all():
        return []
    return [
        f"components: {np.count_nonzero(~signal)} of {len(signal)} hold nothing but noise and"
        " become their mean, rare pixels excepted"
    ]


def describe_sharpened(
    bands: Sequence[int], facts: SceneStatistics, restorer: Restorer
) -> list[str]:
    """Say how much noise sharpening makes: one line, or none where there is none.

    Args:
        bands: numbers of the bands.
        facts: their statistics after sharpening.
        restorer: the model.

    """
    noisy = np.flatnonzero(facts.sigma > 0)
    if not noisy.size:
        return []
    level = _levels(bands, facts, noisy, "DN")
    if isinstance(restorer, Identity):
        fate = "which stays, since no network runs"
    elif restorer.takes_spectrum:
        fate = "of which the network is told level and spectrum"
    else:
        fate = "of which the network is told the level alone"
    return [f"noise after sharpening: {level}, {fate}"]


def _levels(
    bands: Sequence[int],
    facts: SceneStatistics,
    which: Sequence[int] | NDArray[np.intp],
    unit: str,
) -> str:
    level = name_range(facts.sigma[which])
    return f"{level} {unit} in {name_bands([bands[index] for index in which])}"


def explain_unknown(source: str, samples: Samples, facts: SceneStatistics) -> str:
    """Say why nothing can be restored unless the noise is given.

    Args:
        source: name of the scene.
        samples: pairs of pixels and mask ``(band, row, col)``.
        facts: statistics of ``samples``, their noise included.

    Returns:
        One line; empty where the noise of some band is known, where some band shows none, and where
        a scene is valid throughout, so that it is only small.

    """
    untold = find_untold(samples, facts.sigma)
    if facts.valid == 1 or untold.size < len(facts.sigma):
        return ""
    return (
        f"{source}: too few valid pixels lie side by side to estimate the noise; give --sigma,"
        " the noise in DN"
    )


def explain_unchanged(
    source: str,
    bands: Sequence[int],
    samples: Samples,
    facts: SceneStatistics,
    fate: str = "unchanged",
) -> list[str]:
    """Say which bands will stay as they are, or with their noise, since none of theirs is known.

    Args:
        source: name of the scene.
        bands: numbers of the bands.
        samples: pairs of pixels and mask ``(band, row, col)``.
        facts: statistics of ``samples``, their noise included.
        fate: what happens to these bands unless the user gives their noise.

    Returns:
        One line for each reason.

    """
    untold = find_untold(samples, facts.sigma)
    calm = np.setdiff1d(np.flatnonzero(facts.sigma == 0), untold)
    seen = [] if facts.noise is None else facts.noise.evidence
    texture = np.array([index for index in calm if seen and seen[index].kernel], np.intp)
    reasons = (
        (untold, "too few valid pixels lie side by side to estimate the noise", "--sigma is"),
        (np.setdiff1d(calm, texture), "no noise can be seen", "--sigma is"),
        (texture, "noise cannot be told from texture", "--sigma, or its spectrum (--psd), is"),
    )
    return [
        f"{source}: {why} in {name_bands([bands[index] for index in indices])}; {fate}"
        f" unless {what} given"
        for indices, why, what in reasons
        if indices.size
    ]


def explain_empty(source: str, bands: Sequence[int]) -> list[str]:
    """Say which bands have no valid pixel.

    Args:
        source: name of the scene for the message.
        bands: their numbers, from 1.

    Returns:
        One line, or none where every band has a valid pixel.

    """
    return [f"{source}: no valid pixel in {name_bands(bands)}; copied unchanged"] if bands else []


def explain_left_out(source: str, copied: Mapping[int, str]) -> list[str]:
    """Say which bands of ``source`` are no measurements: one line for each reason.

    Args:
        source: name of the scene.
        copied: why each band is copied, by its number.

    """
    reasons: dict[str, list[int]] = {}
    for band, reason in copied.items():
        reasons.setdefault(reason, []).append(band)
    return [
        f"{source}: {name_bands(bands)} not looked at: {reason}"
        for reason, bands in reasons.items()
    ]


def explain_contradicted(source: str, bands: Sequence[int]) -> list[str]:
    """Say which bands contradict the given spectrum of the noise.

    Args:
        source: name of the scene for the message.
        bands: their numbers, from 1.

    Returns:
        One line, or none where no band contradicts it.

    """
    if not bands:
        return []
    return [
        f"{source}: the noise of {name_bands(bands)} does not look like the spectrum given with"
        " --psd, which may change most pixels; geoae diagnose shows what the noise is like"
    ]


def explain_missed(asked: Sequence[str], looked: Sequence[str], found: Set[str]) -> list[str]:
    """Say which steps that the user asks for have nothing to do: one line each.

    Args:
        asked: steps that the user names.
        looked: steps that are looked for.
        found: steps that have something to do.

    """
    return [
        f"{step}: none found" if step in looked else f"{step}: not looked for in speckle"
        for step in STEPS
        if step in asked and step not in found
    ]


def explain_ignored(restorer: Restorer, psd: str | None, *, sharpens: bool = False) -> list[str]:
    """Say whether a model ignores the spectrum of the noise: one line, or none.

    Args:
        restorer: the model.
        psd: name or file of the spectrum; None where the user gives none.
        sharpens: whether sharpening changes the spectrum.

    """
    if restorer.takes_spectrum or isinstance(restorer, Identity):
        return []
    known = psd not in (None, WHITE)
    if sharpens:
        use = "; --psd sets only its level, and" if known else ", but"
        return [
            f"{restorer.name}: takes no spectrum of the noise{use} sharpening correlates the noise:"
            " some noise stays and some detail is lost"
        ]
    return [f"{restorer.name}: takes no spectrum of the noise; --psd is ignored"] if known else []
