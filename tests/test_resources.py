import pytest

from geoae import resources
from geoae.errors import GeoaeError
from geoae.resources import require_extra, shipped


@pytest.mark.parametrize(("kind", "file"), [("models", "res-cae/card.json"), ("tiles", "sar.toml")])
def test_what_is_shipped_is_there(kind, file):
    assert (shipped(kind) / file).is_file()


def test_a_wheel_is_looked_into_before_the_folder_around_it(tmp_path, monkeypatch):
    inside = tmp_path / "src" / "geoae" / "_shipped" / "models"
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "src" / "geoae" / "resources.py"))
    assert shipped("models") == tmp_path / "models"
    inside.mkdir(parents=True)
    assert shipped("models") == inside
    assert shipped("tiles") == tmp_path / "tiles"


def test_an_extra_that_is_installed_is_enough():
    require_extra("train", "numpy", "json")


def test_what_is_missing_is_named_with_the_cure():
    with pytest.raises(GeoaeError) as caught:
        require_extra("train", "numpy", "no_such_one", "nor_this")
    assert str(caught.value) == "this needs no_such_one and nor_this: pip install 'geoae[train]'"
