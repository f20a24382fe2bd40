"""What a diagnosis finds in a scene: one fault or property of one band."""

from dataclasses import dataclass

import numpy as np

from geoae.diagnosis.noise.covariance import NoiseCovariance
from geoae.types import Samples

__all__ = ["Finding", "Look"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding in one band, or in the whole scene."""

    kind: str
    """Key of the dict of findings, such as "stripes"."""
    band: int | None
    """Number of the band, from 1 on; None where it is of the whole scene."""
    strength: float
    """How strong it is, in ``unit``."""
    unit: str
    """Unit of ``strength``: "DN", "px", "%", "looks", ..."""
    place: str
    """Where it is, in words: "whole scene", "columns 12, 40"."""
    evidence: str
    """The measured figures that it rests on, in words."""
    confidence: float
    """Between 0 and 1."""
    action: str
    """What geoae does about it, what the user can do, or why nothing can be done."""


@dataclass(frozen=True, eq=False, slots=True)
class Look:
    """What findings are looked for in: the sample of a scene, and what is known about it."""

    samples: Samples
    """Pairs of pixels in DN and mask, True = valid, ``(band, row, col)``."""
    bands: tuple[int, ...]
    """Numbers of these bands, from 1 on."""
    dtype: np.dtype[np.generic]
    """Type of the pixels in the file."""
    noise: NoiseCovariance
    """Noise of these bands."""
    compression: str = ""
    """Compression of the file as GDAL names it, such as "JPEG"; empty for none."""
