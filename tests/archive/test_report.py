import pytest

from geoae.archive.report import BatchReport
from geoae.archive.triage import Outcome
from geoae.errors import GeoaeError


def report(*outcomes):
    return BatchReport(outcomes=list(outcomes), seconds=4.0, workers=1)


def test_figures_are_of_what_was_restored():
    done = Outcome("a.tif", "out/a.tif", "restored", megapixels=6.0)
    found = report(done, Outcome("b.tif", "out/b.tif", "skipped"))
    assert found.counts == {"restored": 1, "skipped": 1}
    assert found.megapixels_per_second == 1.5
    found.require()


def test_a_failure_is_an_error_where_it_is_asked_for():
    found = report(Outcome("a.tif", "out/a.tif", "failed", "is bad"))
    with pytest.raises(GeoaeError, match="1 of 1 scenes failed"):
        found.require()


def test_it_travels_as_json():
    found = report(Outcome("a.tif", "out/a.tif", "restored", warnings=("odd",)))
    assert BatchReport.model_validate_json(found.model_dump_json()) == found
