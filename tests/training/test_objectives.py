import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from geoae.radiometry.spectrum import KERNELS, correlation_of, white
from geoae.simulation.correlated import draw_stationary
from geoae.training.objectives import AMOUNT, OBJECTIVES, Noisy, estimate_error

SIGMA, SIDE = 0.1, 512


def blur(pixels: Tensor, sigma: Tensor, shape: Tensor) -> Tensor:
    return avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)


def keep(pixels: Tensor, sigma: Tensor, shape: Tensor) -> Tensor:
    return pixels


def erase(pixels: Tensor, sigma: Tensor, shape: Tensor) -> Tensor:
    return torch.zeros_like(pixels)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def chips(kernel: str = "white") -> tuple[Tensor, Noisy]:
    """A smooth clean chip, and what an objective gets of it."""
    rows, cols = np.mgrid[:SIDE, :SIDE]
    clean = 0.2 * np.sin(rows / 3) * np.cos(cols / 4)
    noises = draw_stationary(
        np.repeat(correlation_of(*KERNELS[kernel])[None], 2, axis=0),
        SIDE,
        SIDE,
        np.random.default_rng(0),
    )
    given, more = (
        torch.from_numpy(SIGMA * noise.astype(np.float32))[None, None] for noise in noises
    )
    truth = torch.from_numpy(clean.astype(np.float32))[None, None]
    sigma = torch.full_like(truth, SIGMA)
    return truth, (truth + given, more, sigma, torch.from_numpy(white(1))[None])


@pytest.mark.parametrize("kernel", ["white", "bilinear", "cubic-100/30"])
@pytest.mark.parametrize("restore", [blur, keep, erase])
def test_the_error_is_estimated_without_the_clean_scene(kernel, restore):
    clean, noisy = chips(kernel)
    true = float((restore(noisy[0], *noisy[2:]) - clean).square().mean()) / SIGMA**2
    assert float(estimate_error(restore, noisy)) == pytest.approx(true, abs=0.06)


@pytest.mark.parametrize("kernel", ["white", "bilinear"])
def test_r2r_is_the_error_at_more_noise_and_a_constant(kernel):
    clean, noisy = chips(kernel)
    louder = noisy[0] + AMOUNT * noisy[1]
    true = float((blur(louder, *noisy[2:]) - clean).square().mean()) / SIGMA**2
    loss = float(OBJECTIVES["r2r"].loss(blur, noisy, generator()))
    assert loss - 1 - 1 / AMOUNT**2 == pytest.approx(true, abs=0.06)


def test_r2r_tells_the_network_the_noise_of_its_input():
    told = []

    def remember(pixels: Tensor, sigma: Tensor, shape: Tensor) -> Tensor:
        told.append((float((pixels - clean).std()), float(sigma.mean())))
        return pixels

    clean, noisy = chips()
    OBJECTIVES["r2r"].loss(remember, noisy, generator())
    assert told[0][0] == pytest.approx(told[0][1], rel=0.02)


def test_neighbours_are_neighbours_and_not_the_same():
    rows, cols = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    places = torch.stack([rows, cols])[None]
    seen = []

    def remember(pixels: Tensor, sigma: Tensor, shape: Tensor) -> Tensor:
        seen.append(pixels)
        return pixels

    noisy = (places, places, torch.ones_like(places), torch.from_numpy(white(2))[None])
    # The second term forgives just what differs here: a quarter of the pixels' square distance.
    loss = float(OBJECTIVES["neighbor2neighbor"].loss(remember, noisy, generator()))
    assert loss == pytest.approx(0.5, abs=1e-6), "the distance along one of two axes is 1"
    half = seen[0]
    assert half.shape == (1, 2, 32, 32)
    assert torch.equal(half // 2, places[:, :, ::2, ::2] // 2), "each is of its own 2 x 2"
    assert 0.4 < float((half % 2).mean()) < 0.6


def gradient(name: str, kernel: str) -> float:
    """Derivative of the loss with respect to the part of the pixels that a restoration keeps, at a
    fifth, for chips that hold nothing but noise.
    """
    clean, (pixels, more, *told) = chips(kernel)
    part = torch.tensor(0.2, requires_grad=True)
    pure = (pixels - clean, more, told[0], told[1])
    loss = OBJECTIVES[name].loss(lambda noisy, *_: part * noisy, pure, generator())
    (found,) = torch.autograd.grad(loss, part)
    return float(found)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_noise_is_taken_where_the_condition_holds_and_kept_where_not(name):
    assert gradient(name, "white") > 0.3
    assert (gradient(name, "cubic-100/30") > 0) is OBJECTIVES[name].takes_correlated


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_a_generator_decides_all(name):
    _, noisy = chips()
    one, two = (float(OBJECTIVES[name].loss(blur, noisy, generator())) for _ in range(2))
    assert one == two
