import pytest

from geoae.evaluation.measure import Row
from geoae.evaluation.verdict import judge


def row(contender: str, sigma: float, psnr: float, bias: float = 0.01) -> Row:
    return Row(
        "s",
        1,
        sigma,
        contender,
        psnr=psnr,
        ssim=0.9,
        angle=0,
        ergas=0,
        bias=bias,
        kflop=1,
        megapixels=1,
    )


def rows(**psnr: list[float]) -> list[Row]:
    """A row for each contender and noise on scene ``s``."""
    return [
        row(name, 15.0 * (i + 1), value)
        for name, values in psnr.items()
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("new", "better", "said"),
    [
        ([31.0, 28.5], True, "+0.75 dB on average, at worst"),
        ([30.02, 28.0], False, "+0.05 dB are asked for"),
        ([33.0, 27.5], False, "-0.50 dB on s at noise 30"),
        ([float("inf")] * 2, False, "nothing was measured"),
    ],
)
def test_better_is_better_on_average_and_nowhere_much_worse(new, better, said):
    verdict = judge(rows(old=[30.0, 28.0], new=new), "new", "old", 0.05)
    assert verdict.better is better
    assert said in verdict.reason


def test_a_model_that_moves_means_is_not_better():
    moved = [row("old", 15, 30.0), row("new", 15, 35.0, bias=0.5)]
    assert "moves a band's mean by 0.50 %" in judge(moved, "new", "old", 0.05).reason


def test_a_bias_that_the_current_model_has_too_is_allowed():
    moved = [row("old", 15, 30.0, bias=0.5), row("new", 15, 35.0, bias=0.5)]
    assert judge(moved, "new", "old", 0.05).better


def test_clean_scenes_say_nothing_of_a_gain():
    """At noise 0 the identity is perfect, and no gain can be measured."""
    clean = [row("old", 0, float("inf")), row("new", 0, 60.0)]
    verdict = judge(clean + rows(old=[30.0], new=[30.5]), "new", "old", 0.05)
    assert verdict.better
    assert verdict.gain == pytest.approx(0.5)
