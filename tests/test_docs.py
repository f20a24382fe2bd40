"""What the pages say exists: commands, options, files, configs, and the examples of the
contributing page.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from geoae.cli.app import cli
from geoae.corrections.chain import PLANNERS, plan_corrections
from geoae.networks.halo import measure_field
from geoae.pipeline.recipe import Recipe
from geoae.simulation.degrade import DegradeConfig
from geoae.tiling.window import Window
from geoae.training.config import TrainConfig
from tests.corrections.support import plan, scene, strips_of

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorial").glob("*.md"))]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
ADDRESSED = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OPTIONS = {
    option
    for command in cli.commands.values()
    for parameter in command.params
    for option in (*parameter.opts, *parameter.secondary_opts)
}
# What the contributing page tells its reader to create.
CREATED = {
    "src/geoae/networks/tiny.py",
    "src/geoae/simulation/interference.py",
    "src/geoae/corrections/black_level.py",
}


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text()) if kind == language]


def spans(page: Path) -> list[str]:
    """Inline code, and each line of code that stands by itself, without comments."""
    text = page.read_text()
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    lines = [
        line.strip() for line in text.replace("\\\n", " ").splitlines() if line.startswith("    ")
    ]
    shell = [
        line.strip()
        for kind, code in FENCE.findall(text)
        if kind in ("sh", "console")
        for line in code.splitlines()
    ]
    return [re.sub(r"\s#.*", "", code) for code in [*inline, *lines, *shell]]


def calls(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Command and options of each call of geoae."""
    for code in spans(page):
        for command, rest in re.findall(r"(?:^|[\s/])geoae ([a-z]+)\b([^|;&]*)", code):
            yield command, re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest)


def nav_pages(entries: list) -> Iterator[str]:
    for entry in entries:
        for target in entry.values():
            yield from [target] if isinstance(target, str) else nav_pages(target)


def test_every_page_is_in_the_navigation():
    # The configuration names no Python objects, so the safe loader reads all of it.
    nav = list(nav_pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert len(nav) == len(set(nav))
    assert {str(page.relative_to(ROOT / "docs")) for page in DOCS} <= set(nav)


@pytest.mark.parametrize("page", ADDRESSED)
def test_every_call_names_a_command_and_its_options(page):
    for command, options in calls(page):
        assert command in cli.commands, command
        known = {
            option
            for parameter in cli.commands[command].params
            for option in (*parameter.opts, *parameter.secondary_opts)
        } | {"--help"}
        assert set(options) <= known, (command, options)


def test_the_guides_call_most_commands():
    named = {command for page in GUIDES for command, _ in calls(page)}
    assert named >= {"inspect", "restore", "degrade", "evaluate", "train", "verify", "deploy"}


@pytest.mark.parametrize("page", [param for param in ADDRESSED if param.values[0] in GUIDES])
def test_every_option_by_itself_is_one_of_some_command(page):
    alone = {code.split()[0] for code in spans(page) if code.startswith("--")}
    assert alone <= OPTIONS


@pytest.mark.parametrize("page", ADDRESSED)
def test_every_file_of_the_code_exists(page):
    files = {str(path.relative_to(ROOT)) for path in ROOT.glob("[!.]*/**/*.py")}
    for name in {code for code in spans(page) if re.fullmatch(r"[\w/]+\.py", code)} - CREATED:
        assert any(f"/{path}".endswith(f"/{name}") for path in files), name


def test_configs_are_valid():
    found = [tomllib.loads(text) for page in GUIDES for text in blocks(page, "toml")]
    kinds = [
        TrainConfig if "groups" in one else DegradeConfig if "degradations" in one else Recipe
        for one in found
    ]
    assert set(kinds) == {TrainConfig, DegradeConfig, Recipe}
    for kind, config in zip(kinds, found, strict=True):
        kind.model_validate(config)


def test_links_of_the_repository_become_links_of_the_site():
    pytest.importorskip("mkdocs", reason="the extra docs is absent")
    from mkdocs.config import load_config
    from mkdocs.structure.files import get_files
    from mkdocs.structure.pages import Page

    config = load_config(str(ROOT / "mkdocs.yml"))
    files = config.plugins.on_files(get_files(config), config=config)

    def on_site(page: str, markdown: str) -> str:
        shown = Page("A page", files.get_file_from_path(page), config)
        return config.plugins.on_page_markdown(markdown, page=shown, config=config, files=files)

    links = "[a](docs/models.md#figures) [b](prefect.yaml) [c](CONTRIBUTING.md) [d](nowhere.md) [e](https://pypi.org)"
    found = "[a](models.md#figures) b [c](contributing.md) [d](nowhere.md) [e](https://pypi.org)"
    assert on_site("index.md", links) == found
    assert on_site("tutorial/archive.md", "[a](../../README.md)") == "[a](../index.md)"


def example(number: int, name: str) -> Any:
    """The class or function ``name`` of a code block of the contributing page."""
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(blocks(ROOT / "CONTRIBUTING.md", "python")[number], namespace)
    return namespace[name]


@torch.inference_mode()
def test_the_network_of_the_contributing_page_works():
    network = example(0, "Tiny")(channels=2)
    pixels = torch.rand(1, 2, 8, 12)
    assert network(pixels, torch.full((1, 2, 1, 1), 0.1)).shape == pixels.shape
    torch.nn.init.normal_(network.head.weight)
    assert 0 < measure_field(network, 2, network.multiple) <= network.field


def test_the_degradation_of_the_contributing_page_works():
    wave = example(2, "Interference")()
    pixels, rng = np.full((2, 16, 3), 100.0), np.random.default_rng(0)
    draws = np.stack([wave(pixels, rng) for _ in range(2000)])
    mean, variance = wave.moments(pixels)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.5)
    assert draws.var(axis=0) == pytest.approx(variance, rel=0.1)


def test_the_correction_of_the_contributing_page_works(monkeypatch):
    monkeypatch.setitem(PLANNERS, "black", example(4, "plan_black_level"))
    pixels = scene()
    assert plan(pixels) == ()
    mask = np.ones(pixels.shape, bool)
    mask[:, 50:70] = False
    pixels[1] -= 2000
    strips, shape = strips_of(pixels, mask), pixels.shape[1:]
    planned = plan_corrections(strips, *shape, ["black"])
    lowest = pixels[1][mask[1]].min()
    assert planned.describe([3, 5, 7]) == [
        f"black level: {lowest:g} DN of band 5 subtracted, since values lie below 0"
    ]
    corrected = planned.apply(pixels, mask, Window(0, 0, *shape))
    assert corrected[1][mask[1]].min() == 0
    assert np.array_equal(corrected[0], pixels[0])
    assert np.array_equal(corrected[~mask], pixels[~mask])
