from dataclasses import replace

import pytest

from geoae.verification.candidate import subject_of
from geoae.verification.checks import CHECKS
from tests.verification.support import MACHINE, Told, bench, called, failed, smooth


@pytest.mark.parametrize("heeds", [True, False])
def test_a_model_that_is_told_the_noise_must_heed_it(heeds):
    model = Told(heeds=heeds)
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        place = bench(replace(subject, restorer=model, exact=model))
    assert failed(place, set(CHECKS) - MACHINE) == (set() if heeds else {"clean"})
    assert CHECKS["clean"](called(smooth)) is None, "a callable cannot be told"
