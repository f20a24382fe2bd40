import click
import pytest

from geoae.cli.app import cli
from geoae.cli.options import OPTIONS, with_options
from geoae.corrections.chain import STEPS
from geoae.pipeline.job import Job

COMMANDS = ("restore", "inspect")


@click.command()
@with_options
def command(**options) -> None:
    """Stands for a command."""


SHARED = [option(lambda: None).__click_params__[0].name for option in OPTIONS]


def test_each_is_a_field_of_a_job():
    assert len(SHARED) == len(set(SHARED)) == len(OPTIONS)
    assert set(SHARED) <= set(Job.model_fields)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_them_in_this_order(name):
    names = [option.name for option in cli.commands[name].params]
    assert [each for each in names if each in SHARED] == SHARED


def test_what_is_not_given_is_left_to_recipe_and_defaults():
    given = command.make_context("any", []).params
    assert {name: value for name, value in given.items() if value is not None} == {
        "device": "auto",
        "precision": "auto",
    }
    assert Job.checked(source="s.tif", **given) == Job(source="s.tif")


def test_the_help_of_steps_names_them_all():
    [steps] = [option for option in command.params if option.name == "steps"]
    assert steps.metavar == f"auto|none|{','.join(STEPS)}"
