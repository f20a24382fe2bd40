import numpy as np
import pytest
import torch
from torch import nn

from geoae.errors import DeviceError, ModelError
from geoae.models.card import Card
from geoae.models.folder import load
from geoae.models.torch_restorer import TorchRestorer
from scripts.gpu_day.device import use_tf32
from tests.support.networks import random_batch, random_shapes, save_small_network


@pytest.mark.parametrize(("faster", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_where_the_cpu_has_it(made, monkeypatch, faster, precision):
    """A torch without this private function fails here: ask it in another way then."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: faster)
    assert load(str(made[0]), device="cpu", precision="auto").precision == precision


def test_torch_says_whether_the_cpu_has_bf16():
    assert torch.cpu._is_avx512_bf16_supported() in (True, False)


def test_the_setting_tells_what_bits_depend_on(made):
    settings = [
        load(str(made[0]), device="cpu", precision=precision, batch_size=size).setting
        for precision, size in (("fp32", None), ("bf16", None), ("fp32", 4))
    ]
    assert settings[0] == f"cpu fp32 torch {torch.__version__} batch auto"
    assert len(set(settings)) == 3


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_padded_batch_gives_the_bits_of_a_full_one(made, size):
    """A sample's residual depends neither on its place nor on its company."""
    restorer = load(str(made[0]), device="cpu", precision="fp32", batch_size=size)
    pixels, sigma = random_batch(5)
    together = restorer(pixels, sigma)
    order = [3, 0, 4, 1, 2]
    assert restorer(pixels[order], sigma[order]).tobytes() == together[order].tobytes()
    for sample in range(5):
        alone = slice(sample, sample + 1)
        assert restorer(pixels[alone], sigma[alone]).tobytes() == together[alone].tobytes()


class Greedy(nn.Module):
    """Runs out of memory above ``most`` samples, of the CPU or as a GPU does; keeps the sizes it
    was given.
    """

    def __init__(self, most: int, *, on_cpu: bool = False) -> None:
        super().__init__()
        self.most, self.sizes, self.on_cpu = most, [], on_cpu

    def forward(self, pixels, sigma):
        self.sizes.append(len(pixels))
        if len(pixels) > self.most:
            if self.on_cpu:
                torch.empty(1 << 50)
            raise torch.OutOfMemoryError("out of memory")
        return pixels * sigma


def greedy(made, most: int, *, on_cpu: bool) -> tuple[Greedy, TorchRestorer]:
    network = Greedy(most, on_cpu=on_cpu)
    return network, TorchRestorer(Card.read(made[0]), network, torch.device("cpu"), "fp32", 8)


@pytest.mark.parametrize("on_cpu", [False, True])
def test_a_batch_that_is_too_large_is_halved(made, on_cpu):
    network, restorer = greedy(made, 2, on_cpu=on_cpu)
    pixels, sigma = random_batch(8)
    np.testing.assert_array_equal(restorer(pixels, sigma), pixels * sigma[:, :, None, None])
    assert network.sizes == [8, 4, 2, 2, 2, 2]
    assert restorer.batch(32, 32) == 2
    restorer(pixels, sigma)
    assert network.sizes[6:] == [2, 2, 2, 2], "what did not fit is not tried again"


@pytest.mark.parametrize("on_cpu", [False, True])
def test_one_tile_that_is_too_large_is_an_error_with_a_cure(made, on_cpu):
    network, restorer = greedy(made, 0, on_cpu=on_cpu)
    with pytest.raises(DeviceError, match="32 x 32 px; give a smaller --tile") as caught:
        restorer(*random_batch(8))
    assert "\n" not in str(caught.value)
    assert network.sizes == [8, 4, 2, 1]


def test_bf16_agrees_with_fp32(made):
    pixels, sigma = random_batch(2, 64)
    full, half = (
        load(str(made[0]), device="cpu", precision=p)(pixels, sigma) for p in ("fp32", "bf16")
    )
    assert half.dtype == np.float32
    assert not np.array_equal(full, half)
    assert np.std(half - full) < 0.02 * np.std(full)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:99"])
def test_a_gpu_that_is_not_there_is_refused(made, name):
    if torch.cuda.is_available() and name != "cuda:99":
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match=rf"{name}: not on this machine.*--device"):
        load(str(made[0]), device=name)


def test_a_device_of_no_kind_is_refused(made):
    with pytest.raises(DeviceError, match="abacus"):
        load(str(made[0]), device="abacus")


def test_auto_is_the_gpu_where_there_is_one(made):
    assert load(str(made[0])).device.type == ("cuda" if torch.cuda.is_available() else "cpu")


missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


# Also on the CPU, so that nothing is tried on a GPU for the first time.
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, missing])])
class TestOnEachDevice:
    @pytest.mark.parametrize("batch_size", [None, 1, 3])
    def test_fp32_agrees_with_the_cpu(self, made, device, batch_size):
        pixels, sigma = random_batch(7, 64)
        expected = load(str(made[0]), device="cpu", precision="fp32")(pixels, sigma)
        found = load(str(made[0]), device=device, precision="fp32", batch_size=batch_size)(
            pixels, sigma
        )
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)

    def test_bf16_agrees_with_fp32(self, made, device):
        pixels, sigma = random_batch(7, 64)
        full, half = (
            load(str(made[0]), device=device, precision=p)(pixels, sigma) for p in ("fp32", "bf16")
        )
        assert np.std(half - full) < 0.02 * np.std(full)

    def test_a_padded_batch_gives_the_bits_of_a_full_one(self, made, device):
        restorer = load(str(made[0]), device=device, precision="fp32", batch_size=4)
        pixels, sigma = random_batch(5)
        together = restorer(pixels, sigma)
        assert restorer(pixels[:1], sigma[:1]).tobytes() == together[:1].tobytes()

    def test_running_out_of_memory_halves_the_batch(self, made, device):
        network = Greedy(2)
        restorer = TorchRestorer(Card.read(made[0]), network, torch.device(device), "fp32", 8)
        pixels, sigma = random_batch(8)
        np.testing.assert_allclose(
            restorer(pixels, sigma), pixels * sigma[:, :, None, None], atol=1e-6
        )


def test_a_network_that_gives_no_number_never_reaches_a_pixel(made):
    restorer = load(str(made[0]), device="cpu")
    pixels = np.zeros((1, 2, 32, 32), np.float32)
    pixels[0, 0, 3, 3] = np.nan
    with pytest.raises(ModelError, match="no numbers"):
        restorer(pixels, np.full((1, 2), 0.1, np.float32))


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """A model folder whose network takes a spectrum."""
    folder = tmp_path_factory.mktemp("coloured")
    save_small_network(folder, channels=2, widths=(4, 6, 8), levels=9)
    return folder


@pytest.mark.parametrize("size", [1, 2, 4])
def test_spectra_go_with_their_samples(coloured, size):
    restorer = load(str(coloured), device="cpu", precision="fp32", batch_size=size)
    assert restorer.takes_spectrum
    pixels, sigma = random_batch(5)
    shapes = random_shapes(5, 2)
    together = restorer(pixels, sigma, shapes)
    assert np.abs(together - restorer(pixels, sigma)).max() > 1e-3
    order = [3, 0, 4, 1, 2]
    found = restorer(pixels[order], sigma[order], shapes[order])
    assert found.tobytes() == together[order].tobytes()
    white = restorer(pixels, sigma, np.ones_like(shapes))
    np.testing.assert_allclose(white, restorer(pixels, sigma), rtol=0, atol=1e-6)


def test_a_model_that_takes_no_spectrum_ignores_it(made):
    restorer = load(str(made[0]), device="cpu", precision="fp32")
    assert not restorer.takes_spectrum
    pixels, sigma = random_batch(3)
    told = restorer(pixels, sigma, random_shapes(3, 2))
    assert told.tobytes() == restorer(pixels, sigma).tobytes()


class Anywhere(Greedy):
    """Is said to be on a GPU, also where there is none."""

    def to(self, *_, **__):
        return self


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("bf16", True)])
def test_fp32_on_a_gpu_is_not_rounded_to_tf32(made, precision, allowed):
    with use_tf32(True):
        TorchRestorer(Card.read(made[0]), Anywhere(1), torch.device("cuda"), precision, None)
        assert torch.backends.cudnn.allow_tf32 == allowed
        assert not torch.backends.cuda.matmul.allow_tf32, "the map of DN to model units"


def test_tensors_come_back_as_tensors_with_the_same_bits(made):
    restorer = load(str(made[0]), device="cpu", precision="fp32", batch_size=2)
    pixels, sigma = random_batch(5)
    expected = restorer(pixels, sigma)
    found = restorer(torch.from_numpy(pixels), torch.from_numpy(sigma))
    assert isinstance(found, torch.Tensor)
    assert restorer.fetch(found)().tobytes() == expected.tobytes()
    assert restorer.place(pixels) is pixels, "a CPU computes on the host"


def test_tensors_that_hold_no_numbers_are_an_error_when_they_are_fetched(made):
    restorer = load(str(made[0]), device="cpu")
    wait = restorer.fetch(torch.tensor([1.0, float("nan")]))
    with pytest.raises(ModelError, match="no numbers"):
        wait()
