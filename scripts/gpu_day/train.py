"""The step ``train``: slices of ``geoae train``, each of which continues the one before."""

import csv
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from geoae.models.card import WEIGHTS
from geoae.training.config import TrainConfig
from geoae.training.data import read_batches
from geoae.training.fit import LAST, export
from scripts.gpu_day.day import LIMIT, Day, Task, environment, read_figures, run_geoae
from scripts.gpu_day.device import Sampler

__all__ = ["join_parts", "list_tasks", "split_parts"]

BATCHES = 8
# Noise in 255ths of a band's span under which a trained model is measured.
SIGMA = "25"


def list_tasks(day: Day) -> list[Task]:
    """List the tasks: one slice of each model in turn, then what each can do."""
    tasks = []
    for path in day.configs:
        config = TrainConfig.read(path)
        least = day.sizes.end + 30
        tasks.append(Task(f"{config.name}, samples", 20, partial(measure_samples, day, config)))
        name = f"{config.name}, slice {_number(day, config)}"
        tasks.append(Task(name, least, partial(run_slice, day, path, config)))
        tasks.append(Task(f"{name}, quality", 40, partial(evaluate, day, config)))
    return tasks


def _number(day: Day, config: TrainConfig) -> int:
    """Number the next slice; the last one again where the training is complete."""
    slices = [
        facts
        for name, facts in read_figures(day.out).get("train", {}).items()
        if name.startswith(f"{config.name}, slice") and "step" in facts
    ]
    complete = any(facts["step"] == facts["of"] for facts in slices)
    return len(slices) + (not complete)


def _check_kept_out(day: Day, config: TrainConfig) -> None:
    """Raise ``ValueError`` where a config would train on scenes that are packed as kept out."""
    kept = set(read_figures(day.out)["prepare"]["scenes"]["kept out"])
    if trained := sorted(kept - {*config.validation, *config.exclude}):
        raise ValueError(f"{config.name}: trains on {trained[0]}, which is kept out; exclude it")


def measure_samples(day: Day, config: TrainConfig) -> dict[str, Any]:
    """Measure how many samples are drawn in a second on the device that trains."""
    _check_kept_out(day, config)
    device = torch.device(day.device)
    batches = read_batches(config, day.work / "scenes").to(device)
    batches.draw(0)[0].mean().item()
    began = time.perf_counter()
    for step in range(1, 1 + BATCHES):
        noisy, *_ = batches.draw(step)
    noisy.mean().item()  # waits until the device has drawn all
    return {"samples/s": BATCHES * config.batch_size / (time.perf_counter() - began)}


def run_slice(day: Day, path: Path, config: TrainConfig) -> dict[str, Any]:
    """Train until the slice is over, then bring weights and checkpoint back.

    The command is interrupted as a user would do it, after its second checkpoint where there is
    time: a checkpoint is written before the validation of its step, so the first has no gain yet.
    """
    _check_kept_out(day, config)
    work = day.work / "train"
    folder, last = work / f"{config.name}.training", work / f"{config.name}.training" / LAST
    join_parts(day.out, last)
    before, began = _read_step(last), time.monotonic()
    arguments = [
        "train",
        str(path),
        "--scenes",
        str(day.work / "scenes"),
        "-o",
        config.name,
        "--work",
        str(folder),
        "--accelerator",
        _accelerator(day),
    ]
    with Sampler(torch.device(day.device)) as sampler:
        enough = before + 2 * config.validate_every
        code = _interrupt_in_time(day, work, arguments, lambda: _read_step(last) >= enough)
    seconds, step = time.monotonic() - began, _read_step(last)
    if step <= before:
        raise RuntimeError(f"exit {code} without a new checkpoint; see gpu-day.log")
    card = export(config, last, work / config.name)
    weights = day.out / f"{config.name}.safetensors"
    shutil.copyfile(work / config.name / WEIGHTS, weights)
    return {
        "steps before": before,
        "step": step,
        "of": sum(config.cycles),
        "seconds": seconds,
        "steps/s": (step - before) / seconds,
        "sampled %": sampler.take_mean(),
        "gain dB": _read_gains(folder),
        "weights": weights.name,
        "parts of the checkpoint": split_parts(last, day.out, config.name),
        "card": card.model_dump(include={"parameters", "halo", "kflop_per_pixel", "digest"}),
    } | ({"unfinished": True} if step < sum(config.cycles) else {})


def _accelerator(day: Day) -> str:
    return "cpu" if day.device == "cpu" else "gpu"


def _interrupt_in_time(
    day: Day, work: Path, arguments: list[str], advanced: Callable[[], bool]
) -> int:
    """Run ``geoae`` until it ends, or is interrupted when its time is over; return its exit code.

    It gets more time until it has advanced, but not the time that writing its weights takes.
    """
    work.mkdir(parents=True, exist_ok=True)
    over = time.monotonic() + min(day.sizes.slice, day.left - day.sizes.end)
    command = [sys.executable, "-m", "geoae", *arguments]
    process = subprocess.Popen(command, cwd=work, env=environment(day))
    while process.poll() is None:
        if day.left < day.sizes.end / 2 or (time.monotonic() > over and advanced()):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            break
        time.sleep(0.2)
    return process.returncode


def _read_step(last: Path) -> int:
    """Return the step of a checkpoint; 0 where there is none, or it is being written."""
    try:
        return int(torch.load(last, map_location="cpu", weights_only=False)["global_step"])
    except (OSError, EOFError, KeyError, RuntimeError, pickle.UnpicklingError):
        return 0


def _read_gains(folder: Path) -> list[float]:
    """Return the gains of all validations of all slices in dB, in their order."""
    gains = []
    for path in sorted((folder / "csv").rglob("metrics.csv"), key=lambda p: p.stat().st_mtime):
        with path.open() as lines:
            gains += [row["gain_db"] for row in csv.DictReader(lines) if row.get("gain_db")]
    return [round(float(gain), 3) for gain in gains]


def split_parts(path: Path, out: Path, name: str) -> int:
    """Write a file as parts that are small enough to come back; return how many."""
    for old in out.glob(f"{name}.ckpt.*"):
        old.unlink()
    data = path.read_bytes()
    starts = range(0, len(data), LIMIT)
    for number, begin in enumerate(starts):
        (out / f"{name}.ckpt.{number}").write_bytes(data[begin : begin + LIMIT])
    return len(starts)


def join_parts(out: Path, path: Path) -> None:
    """Put the parts of a checkpoint together again, unless it is there."""
    parts = sorted(out.glob(f"{path.parent.stem}.ckpt.*"), key=lambda part: int(part.suffix[1:]))
    if path.exists() or not parts:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))


def evaluate(day: Day, config: TrainConfig) -> dict[str, Any]:
    """Restore scenes that were kept out under known noise with the model as it is now."""
    scenes, out = day.work / "scenes", day.work / f"{config.name}.evaluation"
    names = [
        word
        for name in config.validation
        for word in ("--scenes", str(scenes / name))
        if (scenes / name).exists()
    ]
    model = str(day.work / "train" / config.name)
    run_geoae(
        "evaluate",
        "--models",
        model,
        *names,
        "--sigmas",
        SIGMA,
        "--crop",
        str(day.sizes.crops),
        "-o",
        str(out),
    )
    shutil.copyfile(out / "scenes.jpg", day.out / f"{config.name}.jpg")
    with (out / "figures.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    means: dict[str, Any] = {}
    for row in rows:
        means.setdefault(Path(row["contender"]).name, []).append(float(row["psnr"]))
    return {name: sum(values) / len(values) for name, values in means.items()}
