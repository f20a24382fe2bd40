import csv
import gc
import os
import subprocess
import sys
import time

import lightning
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import geoae
from geoae.errors import TrainingError
from geoae.models.card import Card
from geoae.training.denoiser import Denoiser
from geoae.training.fit import Hardware, export, fit, train
from geoae.training.samples.batches import Batches
from tests.support.rasters import noise, read, texture, write
from tests.training.support import NETWORK, config


@pytest.fixture
def scenes(tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for seed, name in enumerate(["one", "two", "kept"]):
        write(folder / f"{name}.tif", texture(2, 120, 130, seed).astype(np.uint16))
    return folder


@pytest.mark.slow
def test_a_trained_model_restores_a_scene_it_has_not_seen(scenes, tmp_path):
    checkpoint = fit(config(), scenes, tmp_path / "work")
    card = export(config(), checkpoint, tmp_path / "model")
    assert card.trained_on == ["*.tif"]
    clean = read(scenes / "kept.tif").astype(float)
    noisy = write(
        tmp_path / "noisy.tif", (clean + noise(clean.shape, 40)).round().astype(np.uint16)
    )
    geoae.restore(noisy, tmp_path / "out.tif", model=str(tmp_path / "model"))
    error = [np.square(read(path) - clean).mean() for path in (noisy, tmp_path / "out.tif")]
    assert error[1] < 0.7 * error[0]


@pytest.mark.slow
def test_a_finished_run_goes_on_from_its_checkpoint(scenes, tmp_path):
    fit(config(cycles=[20]), scenes, tmp_path / "work")
    last = fit(config(cycles=[20, 10]), scenes, tmp_path / "work")
    assert torch.load(last, weights_only=False)["global_step"] == 30


@pytest.mark.slow
def test_a_run_goes_on_in_a_folder_that_was_moved(scenes, tmp_path):
    fit(config(cycles=[20], validate_every=10), scenes, tmp_path / "work")
    moved = (tmp_path / "work").rename(tmp_path / "moved")
    last = fit(config(cycles=[20, 10], validate_every=10), scenes, moved)
    assert [path.name for path in moved.glob("*.ckpt")] == ["last.ckpt"]
    assert torch.load(last, weights_only=False)["global_step"] == 30


def gains(work) -> list[float]:
    """Validation gains of a run in dB, by its logs."""
    rows = [
        row
        for path in sorted((work / "csv").glob("version_*/metrics.csv"))
        for row in csv.DictReader(path.read_text().splitlines())
    ]
    return [float(row["gain_db"]) for row in rows if row["gain_db"]]


@pytest.mark.slow
def test_one_config_gives_one_model_resumed_or_not(scenes, tmp_path, monkeypatch):
    whole = config(cycles=[40], validate_every=20)
    for name in ("one", "two"):
        fit(whole, scenes, tmp_path / name)
    assert gains(tmp_path / "one") == pytest.approx(gains(tmp_path / "two"), abs=0.05)
    # Cut short as by a kill right after a checkpoint: the schedule is that of the whole run.
    with monkeypatch.context() as patch:
        trainer = lightning.Trainer
        patch.setattr(
            lightning, "Trainer", lambda **settings: trainer(**settings | {"max_steps": 20})
        )
        fit(whole, scenes, tmp_path / "cut")
    fit(whole, scenes, tmp_path / "cut")
    assert gains(tmp_path / "cut") == pytest.approx(gains(tmp_path / "one"), abs=0.05)
    weights = [
        torch.load(tmp_path / name / "last.ckpt", weights_only=False)["state_dict"]
        for name in ("one", "cut")
    ]
    assert all(torch.allclose(weights[0][key], weights[1][key], atol=1e-4) for key in weights[0])


@pytest.mark.slow
def test_a_run_may_start_from_a_model(scenes, tmp_path):
    export(config(), fit(config(), scenes, tmp_path / "first"), tmp_path / "model")
    # One step at a rate of nearly nothing: what comes out is what it started from.
    more = config(cycles=[1], learning_rate=1e-12, start=str(tmp_path / "model"))
    card = export(more, fit(more, scenes, tmp_path / "second"), tmp_path / "more")
    first, second = (
        load_file(tmp_path / name / "weights.safetensors") for name in ("model", "more")
    )
    assert card.trained_on == ["*.tif"]
    assert all(torch.allclose(first[key], second[key], atol=1e-9) for key in first)


@pytest.mark.slow
def test_a_start_of_another_network_is_said(scenes, tmp_path):
    export(config(), fit(config(cycles=[1]), scenes, tmp_path / "work"), tmp_path / "model")
    other = config(start=str(tmp_path / "model"), network=NETWORK | {"widths": [4, 8, 8]})
    with pytest.raises(TrainingError, match="same network"):
        fit(other, scenes, tmp_path / "second")


@pytest.mark.slow
def test_a_run_ends_with_a_model_a_curve_and_examples(scenes, tmp_path, capsys):
    hardware = Hardware(accelerator="cpu", devices="1")
    card = train(config(validate_every=20), scenes, tmp_path / "work", tmp_path / "model", hardware)
    assert (tmp_path / "model" / "weights.safetensors").exists()
    assert card.halo <= card.field
    assert {"curve.png", "examples.png", "last.ckpt"} <= {
        path.name for path in (tmp_path / "work").iterdir()
    }
    assert list((tmp_path / "work" / "tensorboard").rglob("events.*"))
    progress = "".join(capsys.readouterr())
    assert "20/60" in progress
    assert "/-2" not in progress


@pytest.mark.slow
def test_without_gain_a_run_stops_early(scenes, tmp_path):
    still = config(cycles=[100_000], learning_rate=1e-12, validate_every=5, patience=2)
    last = fit(still, scenes, tmp_path / "work")
    assert torch.load(last, weights_only=False)["global_step"] < 100


TOML = """
name = "tiny"
architecture = "cae"
network = { widths = [4, 8] }
chip = 32
batch_size = 4
cycles = [400]
validate_every = 50
precision = "32-true"
validation = ["kept.tif"]
groups = [{ files = ["*.tif"] }]
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(scenes, tmp_path):
    (tmp_path / "tiny.toml").write_text(TOML)
    command = [sys.executable, "-m", "geoae", "train", "tiny.toml", "--scenes", str(scenes)]
    last = tmp_path / "tiny.training" / "last.ckpt"
    killed = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    done = torch.load(last, weights_only=False)["global_step"]
    assert 50 <= done < 400
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert torch.load(last, weights_only=False)["global_step"] == 400
    logs = sorted((tmp_path / "tiny.training" / "csv").glob("version_*/metrics.csv"))
    first = [int(line.split(",")[-1]) for line in logs[-1].read_text().splitlines()[1:]]
    assert min(first) >= done, "steps that were done are not done again"
    assert "geoae restore --model tiny" in finished.stdout


@pytest.mark.slow
def test_several_processes_share_a_run(scenes, tmp_path):
    (tmp_path / "tiny.toml").write_text(TOML.replace("400", "20"))
    flags = ["--accelerator", "cpu", "--devices", "2", "--strategy", "ddp"]
    command = [sys.executable, "-m", "geoae", "train", "tiny.toml", "--scenes", str(scenes), *flags]
    # Processes meet over the loopback, whatever the machine calls itself.
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("geoae restore --model tiny") == 1
    assert Card.read(tmp_path / "tiny").parameters > 0


@pytest.mark.slow
def test_a_wrong_order_is_one_line_without_a_traceback(scenes, tmp_path):
    (tmp_path / "tiny.toml").write_text(TOML.replace("cae", "cea"))
    command = [sys.executable, "-m", "geoae", "train", "tiny.toml", "--scenes", str(scenes)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("geoae: tiny.toml: architecture: not among")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_work_folder_belongs_to_one_config(scenes, tmp_path):
    fit(config(cycles=[5]), scenes, tmp_path / "work")
    with pytest.raises(TrainingError, match="another config"):
        fit(config(cycles=[5], loss="mse"), scenes, tmp_path / "work")
    (tmp_path / "work" / "last.ckpt").write_bytes(b"")
    with pytest.raises(TrainingError, match="is no checkpoint"):
        fit(config(cycles=[5]), scenes, tmp_path / "work")


@pytest.mark.parametrize(
    ("hardware", "changes"),
    [
        (Hardware(accelerator="abacus"), {}),
        (Hardware(accelerator="cpu", devices="0"), {}),
        (Hardware(accelerator="cpu", devices="x"), {}),
        (Hardware(accelerator="cpu", devices="-3"), {}),
        (Hardware(accelerator="cpu", strategy="none such"), {}),
        (Hardware(accelerator="cpu"), {"precision": "bf17"}),
    ],
)
def test_hardware_that_cannot_be_is_said(scenes, tmp_path, hardware, changes):
    with pytest.raises(TrainingError, match="--accelerator") as caught:
        fit(config(**changes), scenes, tmp_path / "work", hardware)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "work").exists(), "a run that cannot begin leaves nothing"


@pytest.mark.slow
def test_a_network_that_takes_a_spectrum_may_start_from_one_that_does_not(scenes, tmp_path):
    export(config(), fit(config(cycles=[1]), scenes, tmp_path / "first"), tmp_path / "model")
    start, network = str(tmp_path / "model"), NETWORK | {"levels": 9}
    more = config(cycles=[1], learning_rate=1e-12, start=start, network=network)
    card = export(more, fit(more, scenes, tmp_path / "second"), tmp_path / "more")
    first, second = (
        load_file(tmp_path / name / "weights.safetensors") for name in ("model", "more")
    )
    assert card.network["levels"] == 9
    assert second["stem.weight"].shape[1] == 13
    assert torch.allclose(
        second["stem.weight"][:, 4:].sum(dim=1), first["stem.weight"][:, 4], atol=1e-6
    )
    # The new model is a start of its own, and none for a network with one level.
    again = config(cycles=[1], learning_rate=1e-12, start=str(tmp_path / "more"), network=network)
    fit(again, scenes, tmp_path / "third")
    with pytest.raises(TrainingError, match="same network"):
        fit(config(start=str(tmp_path / "more")), scenes, tmp_path / "fourth")


@pytest.mark.slow
def test_components_that_exchange_features_may_start_from_one_alone(scenes, tmp_path):
    export(config(), fit(config(cycles=[1]), scenes, tmp_path / "first"), tmp_path / "model")
    network = NETWORK | {"channels": 3}
    given = {"start": str(tmp_path / "model"), "architecture": "joint_cae", "network": network}
    more = config(cycles=[1], learning_rate=1e-12, **given)
    card = export(more, fit(more, scenes, tmp_path / "second"), tmp_path / "more")
    first, second = (
        load_file(tmp_path / name / "weights.safetensors") for name in ("model", "more")
    )
    assert (card.channels, card.shares_gain) == (3, False)
    for name, weight in first.items():
        torch.testing.assert_close(second[f"trunk.{name}"], weight, rtol=0, atol=1e-6)
    wider = network | {"widths": [4, 8, 8]}
    with pytest.raises(TrainingError, match="same network"):
        fit(config(**given | {"network": wider}), scenes, tmp_path / "third")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_chips_have_the_precision_of_the_run(scenes, tmp_path, precision):
    fit(config(cycles=[2], precision=precision), scenes, tmp_path / "work")


def test_scenes_are_held_once(scenes, tmp_path, monkeypatch):
    """Averaged weights copy the module: it must not hold the scenes."""
    held = []

    def look(self: Denoiser) -> None:
        gc.collect()
        held.append(sum(isinstance(found, Batches) for found in gc.get_objects()))

    monkeypatch.setattr(Denoiser, "on_train_start", look)
    fit(config(cycles=[1]), scenes, tmp_path / "work")
    assert held == [1]


def test_a_run_without_its_scenes_leaves_nothing(scenes, tmp_path):
    for changes in ({"validation": ["absent.tif"]}, {"groups": [{"files": ["absent*.tif"]}]}):
        with pytest.raises(TrainingError):
            train(config(**changes), scenes, tmp_path / "work", tmp_path / "model")
    assert not (tmp_path / "work").exists()
    assert not (tmp_path / "model").exists()
