"""geoae, told nothing, against denoisers that are told the true noise, scene by scene.

    python -m tests.benchmarks.quality [--model NAME|PATH] [--json OUT.json]

Peers' figures come from ``peers_quality.json``, which ``quality_peers.py`` makes in a venv of their own.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import rasterio

import geoae
from tests.benchmarks import protocol

PEERS = json.loads((Path(__file__).parent / "peers_quality.json").read_text())
COLUMNS = ("ffdnet_gray", "ffdnet_rgb", "bm3d")


def restored(scene: protocol.Truth, sigma: float, folder: Path, model: str | None) -> tuple[np.ndarray, list[float]]:
    """The file a user would get from the noisy one, and the noise that was estimated."""
    source = protocol.write_noisy(folder / "noisy.tif", scene, sigma)
    report = geoae.restore(source, folder / "restored.tif", model=model, overwrite=True)
    with rasterio.open(report.target) as dataset:
        return dataset.read().astype(np.float64), report.sigma_before


def measure(name: str, sigma: int, folder: Path, model: str | None) -> dict[str, float]:
    """PSNR, SSIM, worst bias of a band's mean in percent, and noise estimate in 255ths of the span."""
    scene = protocol.load(name)
    estimate, found = restored(scene, sigma, folder, model)
    given = protocol.noisy(scene, sigma)
    means = given[:, scene.valid].mean(axis=1), estimate[:, scene.valid].mean(axis=1)
    bias = 100 * np.abs(means[1] - means[0]) / np.abs(means[0])
    level = 255 * np.mean(np.array(found) / scene.span)
    return protocol.score(scene, estimate) | {"bias": float(bias.max()), "sigma": float(level)}


def measure_clean(name: str, folder: Path, model: str | None) -> float:
    """PSNR of a scene in means of 4 x 4 pixels, restored though it needs nothing; dB."""
    scene = protocol.clean(protocol.load(name))
    estimate, _ = restored(scene, 0, folder, model)
    return protocol.score(scene, estimate)["psnr"]


def peers_of(name: str, sigma: int) -> dict[str, float]:
    """PSNR of the peers that were measured on this scene, in dB."""
    found = PEERS.get(name, {}).get(str(sigma), {})
    return {column: found[column]["psnr"] for column in COLUMNS if column in found}


def table(model: str | None, folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """All figures, printed as Markdown as they come."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    heads = ["scene", "noise", "geoae", *COLUMNS, "SSIM", "noise found", "bias %"]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for name in protocol.VALIDATION:
        figures[name] = {"clean": {"psnr": measure_clean(name, folder, model)}}
        print(f"| {name} | clean | {figures[name]['clean']['psnr']:.2f} |{' |' * (len(heads) - 3)}", flush=True)
        for sigma in protocol.SIGMAS:
            own = figures[name][str(sigma)] = measure(name, sigma, folder, model)
            peers = peers_of(name, sigma)
            shown = [f"{peers[column]:.2f}" if column in peers else "" for column in COLUMNS]
            psnr = f"{own['psnr']:.2f}"
            last = [f"{own['ssim']:.3f}", f"{own['sigma']:.1f}", f"{own['bias']:.3f}"]
            print(f"| {name} | {sigma} | {' | '.join([psnr, *shown, *last])} |", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = table(options.model, Path(folder))
    pairs = [
        (scene[str(sigma)]["psnr"], peers_of(name, sigma))
        for name, scene in figures.items()
        for sigma in protocol.SIGMAS
    ]
    for column in COLUMNS:
        gains = [own - peers[column] for own, peers in pairs if column in peers]
        if gains:
            print(f"over {column}: mean {np.mean(gains):+.2f} dB, least {min(gains):+.2f} dB, {len(gains)} pairs")
    print(f"clean scenes: least {min(scene['clean']['psnr'] for scene in figures.values()):.2f} dB")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
