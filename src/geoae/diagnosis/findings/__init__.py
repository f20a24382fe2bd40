"""Detectors that look at the sample of a scene, each for one kind of fault or property.

Every detector gives its findings for any scene, however odd: finite strengths, confidences between
0 and 1, the same ones each time. Lost lines, stripes and bursts are found by
``geoae.corrections``.
"""

from collections.abc import Callable

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.blur import find_blur
from geoae.diagnosis.findings.clipping import find_clipping
from geoae.diagnosis.findings.compression import find_compression
from geoae.diagnosis.findings.contrast import find_contrast
from geoae.diagnosis.findings.misregistration import find_misregistration
from geoae.diagnosis.findings.noise import find_noise
from geoae.diagnosis.findings.quantisation import find_quantisation
from geoae.diagnosis.findings.resampling import find_resampling
from geoae.diagnosis.findings.speckle import find_speckle

__all__ = ["FINDINGS"]

FINDINGS: dict[str, Callable[[Look], list[Finding]]] = {
    "noise": find_noise,
    "speckle": find_speckle,
    "resampling": find_resampling,
    "compression": find_compression,
    "quantisation": find_quantisation,
    "clipping": find_clipping,
    "blur": find_blur,
    "misregistration": find_misregistration,
    "contrast": find_contrast,
}
