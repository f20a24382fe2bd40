"""CPU seconds that everything around the network takes, on scenes that this file makes itself.

    python tests/benchmarks/outside.py [--sides 4096,10980] [--against PYTHON] [--rounds 3]

The identity model restores four uint16 bands, in a process that has restored a small scene before:
once as the command does it, and once with the search for all faults, which the other models begin
with. GDAL's copy of the scene to the same kind of file is measured in the same process.
``--against`` names the interpreter of another checkout, which is measured in turn with this one.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BANDS, BLOCK = 4, 512
# Pixels over which the ground changes, and standard deviation of the ground and the noise in DN.
COARSE, GROUND, NOISE = 32, 400, 20
STEPS = {"identity": None, "identity and search": "lines,pixels,stripes,bursts,noise"}


def make_scene(path: Path, side: int) -> Path:
    """Write a smooth ground with noise, ``side`` x ``side`` x 4 uint16, as a COG."""
    import numpy as np
    import rasterio
    import rasterio.shutil
    from scipy import ndimage

    rng = np.random.default_rng(0)
    raw = path.with_suffix(".raw.tif")
    place = rasterio.transform.from_origin(5e5, 5e6, 10, 10)
    with rasterio.open(
        raw,
        "w",
        driver="GTiff",
        dtype="uint16",
        count=BANDS,
        height=side,
        width=side,
        tiled=True,
        crs="EPSG:32633",
        transform=place,
    ) as dataset:
        for band in range(1, BANDS + 1):
            coarse = rng.standard_normal((side // COARSE + 2,) * 2, np.float32)
            pixels = 1500 + GROUND * ndimage.zoom(coarse, COARSE, order=1)[:side, :side]
            pixels += NOISE * rng.standard_normal((side, side), np.float32)
            dataset.write(np.clip(np.rint(pixels), 1, 65535).astype(np.uint16), band)
    rasterio.shutil.copy(raw, path, driver="COG", compress="DEFLATE", predictor=2, blocksize=BLOCK)
    raw.unlink()
    return path


def take(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds, user and system, and wall seconds of ``work``."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def measure_here(scene: Path, warm: Path) -> dict[str, float]:
    """Measure with this interpreter's geoae."""
    from geoae.cli.process import tune_process

    tune_process()
    import rasterio
    import rasterio.shutil

    from geoae.pipeline.job import Job
    from geoae.pipeline.run import run
    from geoae.raster.profiles import WRITERS

    target = scene.with_name("out.tif")

    def restore(source: Path, steps: str | None) -> None:
        run(Job(source=str(source), target=str(target), model="identity", steps=steps,
                overwrite=True, fresh=True))  # fmt: skip

    with rasterio.open(scene) as dataset:
        megapixels, options = dataset.width * dataset.height / 1e6, WRITERS["cog"](dataset)
    figures: dict[str, float] = {}
    for name, steps in STEPS.items():
        restore(warm, steps)
        cpu, figures[f"{name}: wall s"] = take(lambda steps=steps: restore(scene, steps))
        figures[f"{name}: CPU s/megapixel"] = cpu / megapixels
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures["peak MiB"] = peak / 1024
    copy = scene.with_name("copy.tif")
    cpu, figures["GDAL's copy: wall s"] = take(
        lambda: rasterio.shutil.copy(str(scene), str(copy), **options)
    )
    figures["GDAL's copy: CPU s/megapixel"] = cpu / megapixels
    copy.unlink()
    return figures


def measure(python: str, scene: Path, warm: Path) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [python, __file__, "--scenes", str(scene), str(warm)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(told.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", default="4096,10980")
    parser.add_argument("--against")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scenes", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scenes:
        print(json.dumps(measure_here(*options.scenes)))
        return
    pythons = {"before": options.against} if options.against else {}
    pythons["now"] = sys.executable
    print(f"| side | figure, median of {options.rounds} | {' | '.join(pythons)} |")
    print(f"| --- | --- |{' --- |' * len(pythons)}")
    with tempfile.TemporaryDirectory() as folder:
        warm = make_scene(Path(folder) / "warm.tif", 1024)
        for side in map(int, options.sides.split(",")):
            scene = make_scene(Path(folder) / "scene.tif", side)
            rounds = [
                {name: measure(python, scene, warm) for name, python in pythons.items()}
                for _ in range(options.rounds)
            ]
            for figure in rounds[0]["now"]:
                values = (
                    statistics.median(one[name][figure] for one in rounds) for name in pythons
                )
                print(f"| {side} | {figure} | {' | '.join(f'{v:.3f}' for v in values)} |")


if __name__ == "__main__":
    main()
