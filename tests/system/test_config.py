from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from geoae.errors import GeoaeError, RecipeError, TrainingError
from geoae.system.config import explain, read_toml


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid")

    factor: float = Field(gt=0)


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tile: int = Field(512, gt=0)
    profile: Literal["cog", "gtiff"] = "cog"
    device: str = Field("auto", pattern="^(auto|cpu)$", description="auto or cpu")
    sigma: float | Literal["auto"] = "auto"
    name: str = Field(description="of the model")
    steps: list[Step] = []

    @field_validator("name")
    @classmethod
    def _check(cls, name: str) -> str:
        if not name:
            raise ValueError("give a name")
        return name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tiel": 3}, "unknown key tiel; did you mean tile?"),
        ({"xyz": 3}, "unknown key xyz; known are tile, profile, device, sigma, name, steps"),
        ({"name": None}, "name = None: input should be a valid string"),
        ({"name": ""}, "name: give a name"),
        ({"device": "abacus"}, "device = 'abacus': give auto or cpu"),
        ({"tile": -1}, "tile = -1: input should be greater than 0"),
        ({"profile": "png"}, "profile = 'png': input should be 'cog' or 'gtiff'"),
        (
            {"steps": [{"factor": 1}, {"factr": 2, "factor": 1}]},
            "unknown key steps.1.factr; did",
        ),
        ({"steps": [{"factor": 0}]}, "steps.0.factor = 0: input should be greater than 0"),
        ({"a\nb": 1}, "unknown key 'a\\nb'; known are"),
    ],
)
def test_the_first_thing_wrong_is_one_line(given, said):
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({"name": "n"} | given)
    line = explain(caught.value, Options)
    assert line.startswith(said)
    assert "\n" not in line


def test_a_missing_key_says_what_it_is():
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({})
    assert explain(caught.value, Options) == "name: is missing (of the model)"


def test_of_several_kinds_the_one_that_came_furthest_counts():
    class Either(BaseModel):
        step: Step | Literal["none"]

    with pytest.raises(ValidationError) as caught:
        Either.model_validate({"step": {"factor": -1}})
    assert "factor = -1" in explain(caught.value, Either)


def test_text_that_is_no_json_is_said():
    with pytest.raises(ValidationError) as caught:
        Options.model_validate_json("{")
    assert explain(caught.value, Options).startswith("not JSON: ")


def test_toml_becomes_the_model(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('name = "n"\n[[steps]]\nfactor = 2\n')
    assert read_toml(path, Options, RecipeError) == Options(name="n", steps=[Step(factor=2)])


@pytest.mark.parametrize("failure", [RecipeError, TrainingError])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"tile = 3", "name: is missing (of the model)"),
        (b"tile =", "not TOML: "),
        (b"\xff\xfe", "not TOML: "),
        (b"tile = 1" + b"0" * 5000, "not TOML: "),
        (b"tile = " + b"[" * 5000, "not TOML: "),
        (None, "cannot be read (No such file or directory); name a TOML file"),
    ],
)
def test_what_is_wrong_with_a_file_names_it(tmp_path, failure, content, said):
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GeoaeError) as caught:
        read_toml(path, Options, failure)
    assert type(caught.value) is failure
    assert str(caught.value).startswith(f"{path}: {said}")
