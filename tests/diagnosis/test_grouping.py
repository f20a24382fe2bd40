import numpy as np

from geoae.diagnosis.finding import Finding
from geoae.diagnosis.grouping import MOST, summarise, tabulate


def finding(**changes: object) -> Finding:
    facts = {
        "kind": "noise",
        "band": 1,
        "strength": 12.3456,
        "unit": "DN",
        "place": "whole scene",
        "evidence": "white: 12.35 DN",
        "confidence": 0.876,
        "action": "removed",
    }
    return Finding(**(facts | changes))


def many(number: int = 200) -> list[Finding]:
    levels = np.geomspace(1, 1000, number)
    return [
        finding(band=band, strength=float(level), evidence=f"white: {level:.4g} DN")
        for band, level in enumerate(levels, start=1)
    ]


def test_one_finding_is_told_in_full():
    (row,) = tabulate([finding(band=2)])
    assert row.cells == (
        "noise",
        "2",
        "12.35 DN",
        "whole scene",
        "white: 12.35 DN",
        "88 %",
        "removed",
    )
    (row,) = tabulate([finding(band=None)])
    assert row.cells[1] == "all"


def test_another_kind_of_evidence_is_another_row():
    white, correlated = finding(band=1), finding(band=2, evidence="correlated: 12.35 DN")
    assert [row.cells[1] for row in tabulate([white, correlated])] == ["1", "2"]


def test_bands_that_are_alike_share_a_row_that_names_the_strongest():
    found = [
        finding(band=1, strength=12.1, evidence="white: a", confidence=0.9),
        finding(band=2, strength=12.4, evidence="white: b", confidence=0.7),
        finding(band=3, strength=12.2, evidence="white: c"),
        finding(band=9, strength=12.3, evidence="white: d"),
        finding(band=4, strength=50.0),
    ]
    strong, weak = tabulate(found)
    assert strong.cells[1] == "4"
    assert weak.cells == (
        "noise",
        "1-3, 9",
        "12.1 to 12.4 DN",
        "whole scene",
        "band 2: white: b",
        "70 %",
        "removed",
    )


def test_what_is_done_otherwise_has_a_row_of_its_own():
    """But other figures in the same words are no other action."""
    actions = ["only 3.1 DN are taken", "only 2.9 DN are taken", "all is taken"]
    rows = tabulate([finding(band=band, action=text) for band, text in enumerate(actions, 1)])
    assert [row.cells[1] for row in rows] == ["1-2", "3"]
    assert rows[0].cells[-1] == "band 1: only 3.1 DN are taken"


def test_hundreds_of_bands_are_few_rows_and_none_is_lost():
    found = many()
    rows = tabulate(found)
    assert 2 <= len(rows) <= MOST
    assert sorted(one.band for row in rows for one in row.findings) == list(range(1, 201))
    strengths = [row.findings[0].strength for row in rows]
    assert strengths == sorted(strengths, reverse=True)
    assert rows[0].cells[1].endswith("-200")


def test_places_and_actions_that_all_differ_are_bounded_too():
    found = [
        finding(band=band, place=f"row {band}", action="abcdefghij"[band % 10] * band)
        for band in range(1, 101)
    ]
    (row,) = tabulate(found)
    assert row.cells[1] == "1-100"
    assert row.cells[3].startswith("band 1: row ")


def test_findings_of_the_scene_and_of_bands_stay_apart():
    found = [finding(band=None, place="a"), finding(band=None, place="b"), finding(band=3)]
    assert [row.cells[1] for row in tabulate(found)] == ["all", "all", "3"]
    together, single = tabulate(found, most=1)
    assert (together.cells[3], single.cells[1]) == ("for example: a", "3")


def test_kinds_keep_their_order():
    found = [finding(kind="stripes"), finding(strength=99.0), finding(kind="stripes", band=2)]
    assert [row.cells[0] for row in tabulate(found)] == ["stripes", "noise"]
    assert tabulate([]) == []


def test_the_summary_is_one_line_for_each_kind():
    found = [*many(3), finding(kind="stripes", band=7), finding(kind="haze", band=None, unit="%")]
    assert summarise(found) == [
        "noise: 1 to 1000 DN in 3 bands, highest in band 3",
        "stripes: 12.3 DN in band 7",
        "haze: 12.3 % in all bands together",
    ]
