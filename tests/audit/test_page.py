import re
from pathlib import Path

import pytest

from geoae.audit.page import write_page
from geoae.diagnosis.finding import Finding
from geoae.errors import OutputError

EVIL = '<script src="https://example.com/x.js">alert("&")</script>'


def finding(**changes: object) -> Finding:
    facts = {
        "kind": "stripes",
        "band": 2,
        "strength": 12.3456,
        "unit": "DN",
        "place": "columns 3, 4",
        "evidence": "a < b",
        "confidence": 0.876,
        "action": "removed by the step stripes",
    }
    return Finding(**(facts | changes))


def test_a_row_for_each_finding_with_its_figures(tmp_path):
    path = tmp_path / "d.html"
    found = [finding(), finding(kind="noise", band=None)]
    write_page(path, "s.tif", "3 bands", found, ["lines: filled"], ["a note"], "data:image/x")
    page = path.read_text()
    rows = re.findall(r"<tr><td>.*?</tr>", page, re.DOTALL)
    assert len(rows) == 2
    cells = re.findall(r"<td[^>]*>(.*?)</td>", rows[0], re.DOTALL)
    assert cells == [
        "stripes",
        "2",
        "12.35 DN",
        "columns 3, 4",
        "a &lt; b",
        "88 %",
        "removed by the step stripes",
    ]
    assert "<td>all</td>" in rows[1]
    assert "<li>lines: filled</li>" in page
    assert "<li>a note</li>" in page
    assert '<img src="data:image/x"' in page


def test_hundreds_of_bands_make_a_short_page_that_sums_up(tmp_path):
    found = [
        finding(band=band, strength=float(band), place=f"row {band}") for band in range(1, 501)
    ]
    write_page(tmp_path / "d.html", "s.tif", "500 bands", found, [])
    page = (tmp_path / "d.html").read_text()
    assert page.count("<tr><td>") == 1
    assert "<li>stripes: 1 to 500 DN in 500 bands, highest in band 500</li>" in page
    assert "<td>1-500</td>" in page
    assert "--json lists all 500 findings" in page
    assert len(page) < 5000


def test_nothing_found_is_said(tmp_path):
    write_page(tmp_path / "d.html", "s.tif", "3 bands", [], [])
    page = (tmp_path / "d.html").read_text()
    assert '<td colspan="7">none</td>' in page
    assert "<li>nothing</li>" in page
    assert "<img" not in page
    assert "Notes" not in page


def test_text_cannot_become_markup(tmp_path):
    """Names of files and bands are anybody's."""
    words = dict.fromkeys(("kind", "unit", "place", "evidence", "action"), EVIL)
    write_page(tmp_path / "d.html", EVIL, EVIL, [finding(**words)], [EVIL], [EVIL], f'">{EVIL}')
    page = (tmp_path / "d.html").read_text()
    assert "<script" not in page
    assert page.count("&lt;script") == 2 + 1 + (2 + 5) + 2 + 1, "each is shown as text"
    assert '""' not in page


def test_the_page_needs_no_other_file(tmp_path):
    write_page(
        tmp_path / "d.html", "é 雪.tif", "3 bands", [finding()], ["x"], ["y"], "data:image/x"
    )
    page = (tmp_path / "d.html").read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href)\s*=\s*[\"']?([^\"'\s>]*)", page) == ["data:image/x"]
    assert not re.search(r"https?:|//|@import|url\(|<link|<script|<iframe", page)
    assert "é 雪.tif" in page
    assert '<meta charset="utf-8">' in page


@pytest.mark.parametrize("name", ["nowhere/d.html", "."])
def test_a_page_that_cannot_be_written_is_one_line(tmp_path, name):
    with pytest.raises(OutputError, match=r"cannot be written \(.*\); give --html another path$"):
        write_page(tmp_path / Path(name), "s.tif", "3 bands", [], [])
