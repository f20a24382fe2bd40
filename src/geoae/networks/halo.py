"""How far a network sees: its theoretical receptive field, and the halo measured in practice."""

import copy

import torch
from torch import Tensor, nn

__all__ = ["measure_field", "measure_halo"]

TOLERANCE = 1e-5
# Noise levels that training covers, in model units, and the one that reaches farthest.
LEVELS = (0.02, 0.1, 0.25)
# Least half side in pixels of the input on which the halo is measured.
LEAST = 128
# A receptive field that reaches farther than this, in pixels, counts as infinite.
FARTHEST = 512


@torch.inference_mode()
def measure_halo(network: nn.Module, channels: int, multiple: int, seed: int = 0) -> int:
    """Measure the distance beyond which an input changes the output by less than 1e-5 model units.

    Everything beyond a border is replaced (by other noise, by a checkerboard of full contrast, by a
    bright step), and the change of the output is followed inwards. This is done on either side, for
    each position of the border on the network's grid, along rows and along columns, from faint to
    strong noise, in float32.

    Args:
        network: a network as ``geoae.networks`` describes it.
        channels: components that it takes at once.
        multiple: divisor of height and width.
        seed: seed of the test images.

    Returns:
        The halo in pixels.

    """
    return max(_halo(network, channels, multiple, seed, across) for across in (False, True))


def _halo(network: nn.Module, channels: int, multiple: int, seed: int, across: bool) -> int:
    """``measure_halo`` along columns, or ``across``, along rows."""
    generator = torch.Generator().manual_seed(seed)
    field = int(network.field)  # type: ignore[arg-type]
    middle, width = (
        -(-least // multiple) * multiple for least in (max(LEAST, field), max(64, 2 * multiple))
    )
    side = 2 * middle
    farthest = 0
    for level in LEVELS:
        sigma = torch.full((1, channels, 1, 1), level)
        base = 0.5 * torch.rand((1, channels, width, side), generator=generator)
        base += level * torch.randn(base.shape, generator=generator)
        before = _run(network, base, sigma, across)
        checker = (
            ((torch.arange(width)[:, None] + torch.arange(side)[None, :]) % 2)
            .float()
            .expand_as(base)
        )
        for other in (base.roll(64, -1).flip(-2), checker * 2 - 1, torch.full_like(base, 2.0)):
            for border in range(middle, middle + multiple):
                leftwards = torch.cat([base[..., :border], other[..., border:]], dim=-1)
                rightwards = torch.cat([other[..., :border], base[..., border:]], dim=-1)
                after = (
                    _run(network, changed, sigma, across) for changed in (leftwards, rightwards)
                )
                moved = [(before - now).abs().amax(dim=(0, 1, 2)) >= TOLERANCE for now in after]
                farthest = max(
                    farthest, border - _first(moved[0][:border]), _last(moved[1][border:]) + 1
                )
    return farthest


def _run(network: nn.Module, pixels: Tensor, sigma: Tensor, across: bool) -> Tensor:
    """Compute the residual; with ``across``, of the transposed input, transposed back."""
    residual: Tensor = network(pixels.mT, sigma).mT if across else network(pixels, sigma)
    return residual


def _first(columns: Tensor) -> int:
    """Return the index of the first true entry, or the length where there is none."""
    reached = torch.nonzero(columns)
    return int(reached[0]) if len(reached) else len(columns)


def _last(columns: Tensor) -> int:
    """Return the index of the last true entry, or -1 where there is none."""
    reached = torch.nonzero(columns)
    return int(reached[-1]) if len(reached) else -1


def measure_field(network: nn.Module, channels: int, multiple: int) -> int:
    """Measure the half receptive field: the distance of the farthest input with a non-zero
    derivative.

    Measured on a copy in which nothing can cancel: all weights are positive, and means take the
    place of maxima.

    Args:
        network: a network as ``geoae.networks`` describes it.
        channels: components that it takes at once.
        multiple: divisor of height and width.

    Returns:
        The half receptive field in pixels.

    Raises:
        ValueError: the receptive field is not finite.

    """
    with torch.inference_mode(False), torch.enable_grad():
        linear = _linearise(network)
        return max(_farthest(linear, channels, multiple, across) for across in (False, True))


def _farthest(linear: nn.Module, channels: int, multiple: int, across: bool) -> int:
    side = 2 * (-(-FARTHEST // multiple) * multiple) + multiple
    sigma = torch.full((1, channels, 1, 1), 0.1, dtype=torch.float64)
    farthest = 0
    for phase in range(multiple):
        pixels = torch.ones(
            (1, channels, 2 * multiple, side), dtype=torch.float64, requires_grad=True
        )
        centre = side // 2 // multiple * multiple + phase
        out: Tensor = linear(pixels.mT, sigma).mT if across else linear(pixels, sigma)
        (gradient,) = torch.autograd.grad(out[..., centre].sum(), pixels)
        reached = torch.nonzero(gradient.abs().amax(dim=(0, 1, 2)))[:, 0]
        farthest = max(farthest, int((reached - centre).abs().max()))
    if farthest >= FARTHEST - multiple:
        raise ValueError("has no finite field: it pools, attends or normalises over the whole tile")
    return farthest


def _linearise(network: nn.Module) -> nn.Module:
    twin = copy.deepcopy(network).double().eval()
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.copy_(parameter.abs() + 1e-3)
    return twin
