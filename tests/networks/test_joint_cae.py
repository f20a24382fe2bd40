import pytest
import torch

from geoae.networks import JointCAE, ResCAE, res_cae
from geoae.networks.joint_cae import widen
from tests.support.doubles import randomised
from tests.support.networks import level, noisy, random_shapes

SMALL = {"widths": (4, 8), "blocks": (1, 1, 1), "levels": 9}


@pytest.fixture
def network() -> JointCAE:
    torch.manual_seed(0)
    return randomised(JointCAE(3, **SMALL))


@torch.inference_mode()
def test_widened_weights_restore_each_component_by_itself(network):
    alone = randomised(ResCAE(1, **SMALL))
    network.load_state_dict(widen(alone.state_dict(), network))
    pixels, sigma = noisy(network, 32, 48), torch.tensor([0.1, 0.05, 0.2]).reshape(1, 3, 1, 1)
    shapes = torch.from_numpy(random_shapes(1, 3))
    found = network(pixels, sigma, shapes)
    for one in range(3):
        part = slice(one, one + 1)
        wanted = alone(pixels[:, part], sigma[:, part], shapes[:, part])
        torch.testing.assert_close(found[:, part], wanted, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_each_component_tells_the_others(network):
    pixels, sigma = noisy(network, 32, 32), level(network)
    before = network(pixels, sigma)
    for one in range(3):
        changed = pixels.clone()
        changed[:, one] += 1
        moved = (network(changed, sigma) - before).abs().amax(dim=(0, 2, 3))
        assert (moved > 1e-4).all()


@torch.inference_mode()
@pytest.mark.parametrize("absent", [[2], [1], [0, 2], [1, 2], [0, 1, 2]])
def test_what_has_no_noise_tells_nothing(network, absent):
    pixels, sigma = noisy(network, 32, 32), level(network)
    sigma[:, absent] = 0
    before = network(pixels, sigma)
    pixels[:, absent] += 1
    assert torch.equal(network(pixels, sigma), before)
    assert not before[:, absent].any()
    present = [one for one in range(3) if one not in absent]
    assert all(before[:, one].any() for one in present)


@torch.inference_mode()
def test_a_sample_in_a_batch_is_the_sample_alone(network):
    """One sample alone is computed in another way than several."""
    pixels, sigma = noisy(network, 32, 48, batch=3), level(network, 3)
    sigma[0, 2], sigma[1, 0] = 0, 0
    together = network(pixels, sigma)
    for one in range(3):
        part = slice(one, one + 1)
        alone = network(pixels[part], sigma[part])
        torch.testing.assert_close(alone, together[part], rtol=0, atol=1e-6)


def test_training_computes_what_inference_does(network):
    pixels, sigma = noisy(network, 32, 48), level(network)
    trained = network(pixels, sigma)
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels, sigma), trained, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_rows_in_ranges_are_those_of_the_whole(network, monkeypatch):
    pixels = noisy(network, 208, 48)
    whole = network(pixels, level(network))
    monkeypatch.setattr(res_cae, "ROWS", 16)
    torch.testing.assert_close(network(pixels, level(network)), whole, rtol=0, atol=1e-5)
