import torch
from PIL import Image

from geoae.networks import ResCAE
from geoae.training.plots import draw_curve, draw_examples

LOSS, GAIN = (127, 127, 127), (31, 119, 180)


def test_a_curve_is_drawn_over_the_logs_of_all_versions(tmp_path):
    for version, step in ((0, 49), (1, 99)):
        folder = tmp_path / "csv" / f"version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(
            f"epoch,gain_db,loss,step\n0,,{4 + version},{step}\n0,{3 + version},,{step}\n"
        )
    draw_curve(tmp_path / "csv", tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size[0] > 600
        wide, high = picture.size
        # The labels beside the axes have the colours of the lines.
        inside = picture.convert("RGB").crop((wide // 5, 0, wide * 4 // 5, high * 4 // 5))
    # Two lines from one corner to the other lie upon each other, and both are seen.
    counts = {colour: count for count, colour in inside.getcolors(1 << 20)}
    assert min(counts[LOSS], counts[GAIN]) > 10


def test_a_sheet_has_a_row_an_example(tmp_path):
    pixels = torch.rand((3, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    batch = (pixels + 0.1, pixels, torch.full_like(pixels, 0.1), torch.ones(3, 1, 9))
    heights = []
    for count in (1, 3):
        shown = tuple(array[:count] for array in batch)
        draw_examples(ResCAE(widths=(4, 6, 8)), shown, tmp_path / "sheet.png")
        with Image.open(tmp_path / "sheet.png") as picture:
            heights.append(picture.size[1])
    assert heights[1] == 3 * heights[0]
