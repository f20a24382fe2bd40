import time

import pytest

from geoae.training.config import TrainConfig
from scripts.gpu_day import train
from scripts.gpu_day.day import SMALL, Day, update_figures
from scripts.gpu_day.train import join_parts, measure_samples, split_parts


def test_a_checkpoint_comes_back_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "LIMIT", 10)
    last = tmp_path / "there/m.training/last.ckpt"
    last.parent.mkdir(parents=True)
    last.write_bytes(bytes(range(105)))
    assert split_parts(last, tmp_path, "m") == 11
    join_parts(tmp_path, tmp_path / "here/m.training/last.ckpt")
    assert (tmp_path / "here/m.training/last.ckpt").read_bytes() == last.read_bytes()
    last.write_bytes(b"short")
    assert split_parts(last, tmp_path, "m") == 1
    assert [path.name for path in tmp_path.glob("m.ckpt.*")] == ["m.ckpt.0"]


def test_a_checkpoint_that_is_there_is_not_replaced(tmp_path):
    last = tmp_path / "m.training/last.ckpt"
    last.parent.mkdir()
    last.write_bytes(b"newer")
    (tmp_path / "m.ckpt.0").write_bytes(b"older")
    join_parts(tmp_path, last)
    assert last.read_bytes() == b"newer"


def test_a_config_that_trains_on_what_is_kept_out_is_refused(tmp_path):
    update_figures(tmp_path, "prepare", {"scenes": {"kept out": ["a.tif", "b.tif"]}})
    day = Day(tmp_path, tmp_path, tmp_path, "cpu", SMALL, (), time.monotonic() + 60)
    config = TrainConfig(
        name="m", cycles=[1], groups=[{"files": ["*.tif"]}], validation=["a.tif"], exclude=["c.tif"]
    )
    with pytest.raises(ValueError, match=r"trains on b\.tif, which is kept out"):
        measure_samples(day, config)
