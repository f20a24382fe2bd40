import json
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from geoae.errors import RecipeError
from geoae.pipeline.job import Job, resolve_options
from geoae.pipeline.preparation.prepare import plan_for
from geoae.pipeline.recipe import Recipe
from geoae.resources import shipped
from tests.support.toml import VALUES, text, toml

SHIPPED = sorted(path.stem for path in shipped("tiles").glob("*.toml"))


def test_the_recipes_of_the_house_are_shipped():
    assert SHIPPED == ["aerial-1m", "landsat-30m", "pan-sharp", "sar", "sentinel2-10m"]


# Rows, columns and bands of what each is for.
WHOLE = {
    "aerial-1m": (12180, 10000, 4),
    "landsat-30m": (7871, 7751, 7),
    "pan-sharp": (15661, 15421, 1),
    "sar": (16700, 25700, 2),
    "sentinel2-10m": (10980, 10980, 4),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_computes_less(name):
    card = json.loads((shipped("models") / "res-cae" / "card.json").read_text())
    model = SimpleNamespace(halo=card["halo"], tile=card["tile"], multiple=8)

    def computed(options: Recipe) -> int:
        plan = plan_for(options, model, *WHOLE[name])
        return plan.tiles * plan.rows.tile * plan.cols.tile

    assert computed(Recipe.read(name)) < 0.95 * computed(Recipe())


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
        ("speckle = 'power'", "speckle"),
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


@pytest.mark.parametrize(
    ("written", "bands"),
    [
        ("1-3", [1, 2, 3]),
        ("1-3,7", [1, 2, 3, 7]),
        (" 7 , 1 - 2 ", [7, 1, 2]),
        ("4", [4]),
        ("2-2", [2]),
        (7, [7]),
        ("1-3,2-4", [1, 2, 3, 4]),
        ([1, "3-5"], [1, 3, 4, 5]),
        ([2, 1], [2, 1]),
        ("65535", [65535]),
    ],
)
def test_bands_are_numbers_and_ranges_wherever_they_are_given(written, bands, tmp_path):
    (tmp_path / "mine.toml").write_text(f"bands = {toml(written)}\n")
    assert Recipe.read(str(tmp_path / "mine.toml")).bands == bands
    assert Job.checked(source="scene.tif", bands=written).bands == bands


@pytest.mark.parametrize(
    "written",
    [
        "x",
        "",
        "1-",
        "-3",
        "3-1",
        "1--3",
        "1-2-3",
        "1.5",
        "1_0",
        "0-3",
        "0",
        "1-70000",
        "9" * 5000,
        1.5,
        [],
        [1, "x"],
    ],
)
def test_bands_that_are_none_are_refused_at_once(written):
    with pytest.raises(RecipeError, match=r"^bands"):
        Job.checked(source="scene.tif", bands=written)


def known(restored: list[int], **options: object) -> list[float] | None:
    return resolve_options(Job.checked(source="scene.tif", **options)).known_sigma(
        "scene.tif", restored
    )


@pytest.mark.parametrize("written", ["3.2,4,5.1", "3.2, 4, 5.1", [3.2, 4, 5.1]])
def test_noise_of_each_band(written, tmp_path):
    assert known([1, 2, 3], sigma=written) == [3.2, 4.0, 5.1]
    assert known([1, 3, 4], sigma=written, bands="4,1,3") == [4.0, 5.1, 3.2], (
        "in the order of bands"
    )
    assert known([1, 3, 4], sigma=written, bands="4,2,1,3") == [4.0, 5.1, 3.2], (
        "less those that are copied anyway"
    )
    (tmp_path / "mine.toml").write_text(f"sigma = {toml(written)}\n")
    assert known([1, 2, 3], recipe=str(tmp_path / "mine.toml")) == [3.2, 4.0, 5.1]
    assert known([1, 2], recipe=str(tmp_path / "mine.toml"), bands="1-2", sigma="6,7") == [6.0, 7.0]
    with pytest.raises(
        RecipeError,
        match=r"mine\.toml: gives the noise of each of its own bands; with --bands give",
    ):
        known([1, 2, 3], recipe=str(tmp_path / "mine.toml"), bands="3,2,1")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1,2,x", "'1,2,x' is no noise"),
        ("3,", "no noise"),
        ([3, -1], r"sigma.1 = -1:"),
        ("1,inf", "sigma.1 = inf"),
        (True, "no noise"),
        ([], r"sigma = \[\]"),
        ([1, "auto"], "sigma.1 = 'auto'"),
    ],
)
def test_noise_that_is_none_is_refused_at_once(written, said):
    with pytest.raises(RecipeError, match=said):
        Job.checked(source="scene.tif", sigma=written)


@pytest.mark.parametrize(
    ("sigma", "bands"), [("1,2", None), ("1,2,3,4", None), ("1,2,3", "1,2"), ([1], None)]
)
def test_noise_of_another_number_of_bands_is_refused(sigma, bands):
    with pytest.raises(
        RecipeError,
        match=r"^scene\.tif: sigma has \d values?, but bands 1, 2(, 3)? are restored; give one",
    ):
        known([1, 2, 3] if bands is None else [1, 2], sigma=sigma, bands=bands)


# --- any TOML at all ----------------------------------------------------------------------------

KEYS = st.sampled_from([*Recipe.model_fields, "tiel", "Tile", ""]) | st.text(max_size=8)


def read_or_refused(path) -> Recipe | None:
    """The recipe, or None where it was refused in one line that names the file."""
    recipe, said = None, f"{path}: "
    try:
        recipe = Recipe.read(str(path))
    except RecipeError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return recipe


shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@shared_folder
@given(st.binary(max_size=80))
@example(b"\xff\xfe")
@example(b"tile = 1" + b"0" * 5000)
@example(b"[" * 5000)
def test_any_bytes_are_a_recipe_or_one_line(tmp_path, content):
    (tmp_path / "mine.toml").write_bytes(content)
    read_or_refused(tmp_path / "mine.toml")


@settings(shared_folder, max_examples=100)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_toml_is_a_recipe_or_one_line(tmp_path, content):
    path = tmp_path / "mine.toml"
    path.write_text(
        "".join(f"{text(key)} = {toml(value)}\n" for key, value in content.items()),
        encoding="utf-8",
    )
    recipe = read_or_refused(path)
    if recipe is not None:
        assert set(content) <= set(Recipe.model_fields)
        options = resolve_options(Job(source="scene.tif", recipe=str(path)))
        assert (options.tile, options.ramp, options.bands) == (
            recipe.tile,
            recipe.ramp,
            recipe.bands,
        )
