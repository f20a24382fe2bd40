import json

import pytest
from pydantic import ValidationError

from geoae.pipeline.report import RestoreReport

FACTS = {
    "status": "restored",
    "source": "s.tif",
    "target": "t.tif",
    "model": "identity",
    "digest": "identity",
    "setting": "numpy",
    "fingerprint": "1d",
    "height": 90,
    "width": 130,
    "bands": [1, 3],
    "copied": {2: "alpha"},
    "tile": (64, 64),
    "overlap": 24,
    "tiles": 6,
    "tiles_computed": 5,
    "tiles_empty": 1,
    "slabs_resumed": 0,
    "seconds": 0.5,
    "megapixels_per_second": 0.02,
    "sigma_before": [20.0, 12.5],
    "slope": [0.0, 0.1],
    "sigma_after": [5.0, 2.5],
}
LATER = {
    "steps": ["stripes along rows"],
    "unit": "DN",
    "changes": True,
    "mtf": 0.2,
    "bias": [0.01, -0.02],
    "warnings": ["s.tif: is dark"],
}


def test_it_comes_back_from_json_as_it_was():
    report = RestoreReport(**FACTS, **LATER)
    written = report.model_dump_json()
    assert RestoreReport.model_validate_json(written) == report
    assert json.loads(written)["copied"] == {"2": "alpha"}, "keys of JSON are text"
    assert RestoreReport.model_validate(report.model_dump()) == report


def test_a_report_of_an_earlier_version_is_read():
    report = RestoreReport(**FACTS)
    assert (report.bias, report.warnings) == ([], [])
    assert FACTS.keys() | LATER.keys() == RestoreReport.model_fields.keys()


@pytest.mark.parametrize("key", FACTS)
def test_no_figure_may_be_missing(key):
    with pytest.raises(ValidationError, match=key):
        RestoreReport(**{name: value for name, value in FACTS.items() if name != key})


def test_it_is_restored_or_skipped_and_stays_so():
    with pytest.raises(ValidationError, match="'restored' or 'skipped'"):
        RestoreReport(**FACTS | {"status": "done"})
    with pytest.raises(ValidationError, match="frozen"):
        RestoreReport(**FACTS).status = "skipped"
