import subprocess
import sys

import numpy as np
import pytest

from geoae import resources
from geoae.errors import GeoaeError, OutputError, RecipeError
from geoae.evaluation.run import run_damage_evaluation, run_evaluation
from tests.support.logs import logged
from tests.support.rasters import texture, write


@pytest.fixture
def scenes(tmp_path):
    (tmp_path / "scenes").mkdir()
    for name in ("kept.tif", "trained.tif"):
        write(tmp_path / "scenes" / name, texture(1, 60, 60).astype(np.uint16))
    return tmp_path / "scenes"


def ran(scenes, out, *, models="identity", kept_out=None, sigmas="25", peers=None) -> list[str]:
    with logged() as lines:
        run_evaluation(models, [scenes], kept_out, sigmas, peers, 64, out)
    return lines


def test_figures_are_written_and_told(scenes, tmp_path):
    lines = ran(scenes, tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["figures.csv", "figures.md", "figures.png", "scenes.jpg"]
    assert any("kept.tif noise 25 identity" in line for line in lines)


def test_only_what_a_training_kept_out(scenes, tmp_path):
    text = "\n".join(ran(scenes, tmp_path / "out", kept_out=["kept.tif"]))
    assert "kept.tif" in text
    assert "trained.tif" not in text
    with pytest.raises(RecipeError, match="none of its validation scenes"):
        ran(scenes, tmp_path / "out", kept_out=["other.tif"])


@pytest.mark.parametrize(
    ("sigmas", "words"),
    [
        ("a,b", "numbers like"),
        ("-3", "between 0 and 255"),
        ("nan", "between"),
        ("inf", "between"),
        ("", "numbers like"),
    ],
)
def test_noise_that_is_none_is_refused(scenes, tmp_path, sigmas, words):
    with pytest.raises(RecipeError, match=words):
        ran(scenes, tmp_path / "out", sigmas=sigmas)


def test_a_folder_that_cannot_be_is_said(scenes, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another -o"):
        ran(scenes, tmp_path / "file" / "out")


def test_peers_without_their_packages_name_the_extra(scenes, tmp_path, monkeypatch):
    find = resources.find_spec
    monkeypatch.setattr(resources, "find_spec", lambda name: None if name == "bm3d" else find(name))
    with pytest.raises(GeoaeError, match=r"pip install 'geoae\[peers\]'"):
        ran(scenes, tmp_path / "out", peers="all")
    with pytest.raises(RecipeError, match="known are ffdnet-gray"):
        ran(scenes, tmp_path / "out", peers="drunet")


def damaged(scenes, out, damages, peers=None) -> list[str]:
    with logged() as lines:
        run_damage_evaluation("identity", [scenes], ["kept.tif"], damages, peers, 64, out)
    return lines


def test_figures_of_damage_are_written_and_told_beside_those_of_noise(scenes, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "figures.md").write_text("of noise")
    lines = damaged(scenes, tmp_path / "out", "dead,clean")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "damage.csv",
        "damage.md",
        "figures.md",
    ]
    assert (tmp_path / "out" / "figures.md").read_text() == "of noise"
    assert any("kept.tif dead identity" in line for line in lines)
    text = (tmp_path / "out" / "damage.md").read_text()
    assert "| dead | best-band (told) |" in text
    assert "| clean | identity | (1 exact) |" in text


@pytest.mark.parametrize(
    ("damages", "peers", "words"),
    [
        ("stripes16", None, "--damage stripes16: did you mean stripes15"),
        ("", None, "--damage : known are stripes15, "),
        ("dead", "sld", "--peers sld: known for this damage are best-band, neighbours"),
        ("clean", "sld", "--peers sld: there are none"),
    ],
)
def test_unknown_damage_and_methods_are_refused(scenes, tmp_path, damages, peers, words):
    with pytest.raises(RecipeError, match=words):
        damaged(scenes, tmp_path / "out", damages, peers)
    assert not (tmp_path / "out").exists()


def test_methods_are_chosen_by_name_and_by_their_packages(scenes, tmp_path, monkeypatch):
    find = resources.find_spec
    monkeypatch.setattr(resources, "find_spec", lambda name: None if name == "bm3d" else find(name))
    text = "\n".join(damaged(scenes, tmp_path / "out", "dead", "neighbours"))
    assert "neighbours (told)" in text
    assert "best-band" not in text
    with pytest.raises(GeoaeError, match=r"needs bm3d: pip install 'geoae\[peers\]'"):
        damaged(scenes, tmp_path / "out", "mixed", "all")
    assert "fill-sld-pca-bm3d" not in "\n".join(damaged(scenes, tmp_path / "out", "mixed"))


@pytest.mark.slow
def test_the_command(scenes, tmp_path):
    command = [
        sys.executable,
        "-m",
        "geoae",
        "evaluate",
        "--models",
        "identity",
        "--scenes",
        "scenes",
        "--sigmas",
        "0,25",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "| 25 | identity |" in done.stdout
    done = subprocess.run(
        [*command, "--models", "absent"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("geoae: absent: no such model")
