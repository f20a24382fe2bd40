import shutil
from pathlib import Path

import numpy as np
import pytest

from geoae.catalog.sources import scenes
from geoae.errors import OutputError, TrainingError
from geoae.evaluation.measure import Row
from geoae.evaluation.verdict import judge
from geoae.models.card import model_folder
from geoae.models.folder import current_model, install
from geoae.resources import shipped
from geoae.training.config import TrainConfig
from geoae.training.renewal import gathered, renewed, training_config
from tests.support.rasters import texture, write


def row(contender: str, sigma: float, psnr: float, bias: float = 0.01) -> Row:
    return Row(
        "s",
        1,
        sigma,
        contender,
        psnr=psnr,
        ssim=0.9,
        angle=0,
        ergas=0,
        bias=bias,
        kflop=1,
        megapixels=1,
    )


def rows(**psnr: list[float]) -> list[Row]:
    """A row for each contender and noise on scene ``s``."""
    return [
        row(name, 15.0 * (i + 1), value)
        for name, values in psnr.items()
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("new", "better", "said"),
    [
        ([31.0, 28.5], True, "+0.75 dB on average, at worst"),
        ([30.02, 28.0], False, "+0.05 dB are asked for"),
        ([33.0, 27.5], False, "-0.50 dB on s at noise 30"),
        ([float("inf")] * 2, False, "nothing was measured"),
    ],
)
def test_a_model_is_better_on_average_and_nowhere_much_worse(new, better, said):
    verdict = judge(rows(old=[30.0, 28.0], new=new), "new", "old", 0.05)
    assert verdict.better is better
    assert said in verdict.reason


def test_a_model_that_moves_means_is_not_better():
    moved = [row("old", 15, 30.0), row("new", 15, 35.0, bias=0.5)]
    assert "moves a band's mean by 0.50 %" in judge(moved, "new", "old", 0.05).reason


@pytest.fixture
def places(tmp_path):
    for name in ("in/a.tif", "in/day/b.tif", "in/c.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, texture(1, 40, 40).astype(np.uint16))
    (tmp_path / "fixed").mkdir()
    (tmp_path / "fixed" / "c.tif").symlink_to(tmp_path / "in" / "c.tif")
    return tmp_path


def test_recent_scenes_less_the_fixed_set(places):
    names = gathered(scenes(str(places / "in")), places / "fixed", places / "work")
    assert names == ["fixed/c.tif"]
    linked = sorted(
        str(path.relative_to(places / "work")) for path in (places / "work").rglob("*.tif")
    )
    assert linked == ["fixed/c.tif", "recent/a.tif", "recent/day/b.tif"]
    write(places / "in" / "later.tif", texture(1, 40, 40).astype(np.uint16))
    assert gathered(scenes(str(places / "in")), places / "fixed", places / "work") == names
    assert not (places / "work" / "recent" / "later.tif").exists()


def test_nothing_recent(places):
    with pytest.raises(TrainingError, match="no recent scene"):
        gathered(scenes(str(places / "in" / "c.tif")), places / "fixed", places / "work")


def test_the_config_of_a_renewal(places):
    base = training_config("res-cae")
    config = renewed(base, "res-cae", "res-cae", ["fixed/c.tif"], 30)
    assert isinstance(config, TrainConfig)
    assert (config.start, config.cycles, config.validation, config.validate_every) == (
        "res-cae",
        [30],
        ["fixed/c.tif"],
        30,
    )
    assert config.network == base.network
    folder = places / "work"
    gathered(scenes(str(places / "in")), places / "fixed", folder)
    assert {
        path.name
        for group in config.groups
        for pattern in group.files
        for path in folder.glob(pattern)
    } == {"a.tif", "b.tif"}
    with pytest.raises(TrainingError, match=r"missing.toml"):
        training_config("missing.toml")


def test_the_better_model_takes_its_place_and_the_old_one_stays(tmp_path):
    models = tmp_path / "models"
    assert current_model(models, "res-cae") == "res-cae"
    shipped_one = shipped("models") / "res-cae"
    first = install(shipped_one, models)
    assert current_model(models, "res-cae") == str(models / "current")
    assert (models / "current").resolve() == first
    another = tmp_path / "another"
    shutil.copytree(shipped_one, another)
    card = another / "card.json"
    digest = card.read_text().split('"digest": "')[1][:8]
    card.write_text(card.read_text().replace(digest, "0" * 8))
    second = install(another, models)
    assert (models / "current").resolve() == second
    assert model_folder(str(models / "current")) == models / "current"
    assert sorted(path.name for path in models.iterdir()) == sorted(
        ["current", first.name, second.name]
    )
    assert install(shipped_one, models) == first
    assert (models / "current").resolve() == first


def test_a_folder_is_not_replaced_by_a_link(tmp_path):
    (tmp_path / "current").mkdir()
    with pytest.raises(OutputError, match="no link"):
        install(shipped("models") / "res-cae", tmp_path)
    assert not Path(tmp_path / "current").is_symlink()
