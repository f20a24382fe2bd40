import pytest

from geoae.errors import RecipeError
from geoae.order import Job, merged
from geoae.recipe import Recipe
from geoae.resources import shipped

SHIPPED = sorted(path.stem for path in shipped("tiles").glob("*.toml"))


def test_the_recipes_of_the_house_are_shipped():
    assert SHIPPED == ["aerial-1m", "landsat-30m", "pan-sharp", "sar", "sentinel2-10m"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_says_what_it_is_for(name):
    assert len(Recipe.read(name).description) > 20


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiel = 512", "unknown key tiel; did you mean tile"),
        ("tile = -1", "tile = -1"),
        ("overlap = 'much'", "overlap"),
        ("sigma = -3", "sigma"),
        ("bands = []", "bands"),
        ("tile = ", "not TOML"),
    ],
)
def test_a_wrong_recipe_is_one_line_that_names_the_key(tmp_path, text, words):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=words) as caught:
        Recipe.read(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_those_there_are():
    with pytest.raises(RecipeError, match="sentinel2-10m"):
        Recipe.read("sentinel-2")


def test_a_flag_beats_the_recipe_and_the_recipe_the_default(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('tile = 640\nprofile = "gtiff"\nsigma = 5.0\n')
    options = merged(Job(source="scene.tif", recipe=str(path), tile=320))
    assert (options.tile, options.profile, options.known_sigma) == (320, "gtiff", 5.0)
    assert merged(Job(source="scene.tif", recipe=str(path), sigma="auto")).known_sigma is None
    assert merged(Job(source="scene.tif")).profile == "cog"
