import torch
from PIL import Image

from geoae.networks import ResCAE
from geoae.training.plots import draw_curve, draw_examples


def test_a_curve_is_drawn_over_the_logs_of_all_versions(tmp_path):
    for version, step in ((0, 49), (1, 99)):
        folder = tmp_path / "csv" / f"version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(
            f"epoch,gain_db,loss,step\n0,,0.5,{step}\n0,{3 + version},,{step}\n"
        )
    draw_curve(tmp_path / "csv", tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size[0] > 600
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10


def test_a_sheet_has_a_row_an_example(tmp_path):
    pixels = torch.rand((1, 32, 32), generator=torch.Generator().manual_seed(0))
    sample = (pixels + 0.1, pixels, torch.full_like(pixels, 0.1), torch.ones(1, 9))
    heights = []
    for count in (1, 3):
        draw_examples(ResCAE(widths=(4, 6, 8)), [sample] * count, tmp_path / "sheet.png")
        with Image.open(tmp_path / "sheet.png") as picture:
            heights.append(picture.size[1])
    assert heights[1] == 3 * heights[0]
