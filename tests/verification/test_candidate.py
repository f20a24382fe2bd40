import numpy as np
import pytest
import torch
from torch import nn

from geoae.errors import ModelError, RecipeError
from geoae.verification.candidate import CallableRestorer, CallableSpec, subject_of

CLAIMS = {"channels": 2, "multiple": 4, "halo": 1}


def units(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((3, 2, 8, 12), np.float32), np.full((3, 2), 0.1, np.float32)


def residual(function, **claims) -> np.ndarray:
    return CallableRestorer.of(function, CallableSpec.from_keywords(**CLAIMS, **claims))(*units())


def test_restored_pixels_and_residual_say_the_same():
    expected = units()[0] * 0.25
    np.testing.assert_allclose(residual(lambda pixels: pixels * 0.75), expected, atol=1e-7)
    np.testing.assert_allclose(
        residual(lambda pixels: pixels * 0.25, returns="residual"), expected, atol=1e-7
    )


def test_a_callable_sees_the_span_it_was_made_for():
    seen = []

    def dim(pixels):
        seen.append(pixels.copy())
        pixels -= 100  # in place, as many do
        return pixels

    found = residual(dim, span=(1000, 5000))
    np.testing.assert_allclose(seen[0], 1000 + 4000 * units()[0], rtol=1e-6)
    np.testing.assert_allclose(found, 100 / 4000, rtol=1e-3)


class Halving(nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.frozen = nn.BatchNorm2d(2).eval()

    def forward(self, pixels):
        assert isinstance(pixels, torch.Tensor)
        return self.dropout(pixels) * 0.5


def test_a_module_gets_tensors_is_evaluated_and_keeps_its_modes():
    module = Halving()
    with subject_of(module, "cpu", "fp32", CLAIMS) as subject:
        assert not module.training
        np.testing.assert_allclose(subject.restorer(*units()), units()[0] * 0.5)
    assert module.training
    assert module.dropout.training
    assert not module.frozen.training


def test_a_function_may_ask_for_tensors():
    np.testing.assert_allclose(
        residual(lambda pixels: pixels.clamp(0, 0), tensors=True), units()[0]
    )


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda pixels: pixels[..., 1:], r"returns shape \(3, 2, 8, 11\) for \(3, 2, 8, 12\)"),
        (lambda pixels: pixels @ pixels, r"fails on pixels of shape \(3, 2, 8, 12\) \(ValueError"),
        (lambda pixels: "no", "returns shape"),
    ],
)
def test_what_is_no_restorer_is_told_in_one_line(function, said):
    with pytest.raises(ModelError, match=said) as caught:
        residual(function)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "claims", "said"),
    [
        (
            abs,
            {"channels": 1, "halo": 3},
            "state channels, multiple and halo: multiple: is missing",
        ),
        (abs, CLAIMS | {"hallo": 3}, "unknown key hallo; did you mean halo"),
        (abs, CLAIMS | {"halo": -1}, "halo = -1"),
        (abs, CLAIMS | {"span": (1, 0)}, "darker value first"),
        ("identity", {"halo": 3}, "halo: is known from the model's card"),
    ],
)
def test_claims_that_do_not_fit_are_refused(model, claims, said):
    with pytest.raises(RecipeError, match=said), subject_of(model, "cpu", "fp32", claims):
        pass
