import csv

from geoae.evaluation.measure import Row
from geoae.evaluation.measure_damage import DamageRow
from geoae.evaluation.tables import as_damage_markdown, as_markdown, csv_of_rows, draw

NAN = float("nan")
ROWS = [
    Row("a.tif", 1, 25.0, "noisy", 20.0, 0.5, NAN, 9.0, 0.0, NAN, NAN),
    Row("a.tif", 1, 25.0, "res-cae", 30.0, 0.9, NAN, 3.0, 0.01, 54.2, 1.5),
    Row("b.tif", 3, 25.0, "noisy", 22.0, 0.6, 5.0, 8.0, 0.0, NAN, NAN),
    Row("b.tif", 3, 25.0, "res-cae", 31.0, 0.8, 2.0, 4.0, 0.03, 54.2, 0.5),
    Row("b.tif", 3, 0.0, "noisy", float("inf"), 1.0, 0.0, 0.0, 0.0, NAN, NAN),
]


def test_csv_holds_every_figure_as_soon_as_it_is_there(tmp_path):
    with csv_of_rows(tmp_path / "figures.csv", Row) as write:
        for count, row in enumerate(ROWS, 1):
            write(row)
            rows = list(csv.DictReader((tmp_path / "figures.csv").read_text().splitlines()))
            assert len(rows) == count
    assert len(rows) == len(ROWS)
    assert (rows[1]["contender"], rows[1]["psnr"], rows[1]["kflop"]) == ("res-cae", "30.0", "54.2")


def test_markdown_has_scenes_and_means():
    text = as_markdown(ROWS)
    assert "| a.tif | 1 | 25 | 20.00 / 0.500 | 30.00 / 0.900 |" in text
    assert "| b.tif | 3 | 0 | exact / 1.000 |  |" in text
    assert "| 25 | res-cae | 30.500 | 0.850 | 2.000 | 3.500 | 0.020 | 54.200 | 1.000 |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| 25 |")}
    assert len(widths) == 1


def test_the_plot_is_a_picture(tmp_path):
    draw(ROWS, tmp_path / "figures.png")
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


def damage_row(scene: str, contender: str, told: bool, psnr: float) -> DamageRow:
    nothing = [NAN] * 6
    return DamageRow(scene, 1, "dead", contender, told, psnr, 0.9, *nothing)


def test_markdown_of_damage_compares_with_the_best_that_was_told():
    rows = [
        damage_row("a", "damaged", False, 20.0),
        damage_row("a", "mine", False, 39.0),
        damage_row("a", "one", True, 40.0),
        damage_row("a", "other", True, 30.0),
        damage_row("b", "damaged", False, 20.0),
        damage_row("b", "mine", False, float("inf")),
        damage_row("b", "one", True, 10.0),
        damage_row("b", "other", True, 36.0),
    ]
    text = as_damage_markdown(rows)
    assert "| dead | damaged | 20.00 | -18.00 | 0.9000 |" in text
    assert "| dead | mine | 39.00 (1 exact) | -1.00 | 0.9000 |" in text
    assert "| dead | one (told) | 25.00 | -13.00 | 0.9000 |" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_markdown_of_damage_without_a_told_method_compares_nothing():
    text = as_damage_markdown([damage_row("a", "damaged", False, float("inf"))])
    assert "| dead | damaged | (1 exact) |  | 0.9000 |" in text
