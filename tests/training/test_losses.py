import pytest
import torch

from geoae.training.losses import LOSSES


def pair(sigma: float = 0.1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand((2, 1, 32, 32), generator=generator)
    restored = clean + sigma * torch.randn(clean.shape, generator=generator)
    return restored, clean, torch.full_like(clean, sigma)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_less_error_is_less_loss_with_a_gradient(name):
    restored, clean, sigma = pair()
    restored.requires_grad_()
    loss = LOSSES[name](restored, clean, sigma)
    assert loss.shape == ()
    (gradient,) = torch.autograd.grad(loss, restored)
    assert torch.isfinite(gradient).all()
    nearer = LOSSES[name]((restored + clean) / 2, clean, sigma)
    assert LOSSES[name](clean, clean, sigma) < nearer < loss


def test_losses_are_their_formulas():
    restored, clean, sigma = pair()
    error = restored - clean
    assert float(LOSSES["l1"](restored, clean, sigma)) == pytest.approx(float(error.abs().mean()))
    assert float(LOSSES["mse"](restored, clean, sigma)) == pytest.approx(float((error**2).mean()))
    assert float(LOSSES["charbonnier"](restored, clean, sigma)) == pytest.approx(
        float((error**2 + 1e-6).sqrt().mean())
    )
    # An error of the size of the noise is one.
    assert float(LOSSES["relative"](restored, clean, sigma)) == pytest.approx(1, abs=0.05)


def test_the_relative_loss_weighs_faint_and_strong_noise_alike():
    faint, strong = (float(LOSSES["relative"](*pair(sigma))) for sigma in (0.02, 0.2))
    assert faint == pytest.approx(strong, rel=0.01)


def test_empty_components_do_not_count():
    restored, clean, sigma = pair()
    empty = torch.zeros_like(clean)
    padded = [torch.cat([tensor, empty], dim=1) for tensor in (restored, clean, sigma)]
    assert float(LOSSES["relative"](*padded)) == pytest.approx(
        float(LOSSES["relative"](restored, clean, sigma))
    )
