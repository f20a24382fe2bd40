import pytest

from tests.support.networks import save_small_network

WIDTHS = (4, 6, 8)


@pytest.fixture(scope="package")
def made(tmp_path_factory):
    """A model folder with random weights, made once, and its network."""
    folder = tmp_path_factory.mktemp("model")
    return folder, save_small_network(folder, channels=2, widths=WIDTHS, tile=64)


@pytest.fixture
def folder(made, tmp_path):
    """A copy to spoil."""
    for file in made[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path
