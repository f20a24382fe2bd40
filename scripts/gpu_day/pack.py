"""Prepare on a machine with network what the machine with the GPU lacks: wheels and scenes."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from scripts.gpu_day.day import ROOT

__all__ = ["LACKING", "TRAVELS", "check_size", "count_tree", "fetch_wheels", "pack"]

# Bytes that may travel: the repository's tree, the packed folder, and what earlier commands gave.
TRAVELS = 64 << 20
BACK = 12 << 20
# What a machine with torch, lightning, torchmetrics, timm, SciPy, matplotlib and tensorboard may
# lack, or have too old. pyproj is left out: geoae needs it for 3D systems alone.
LACKING = (
    "rasterio",
    "affine",
    "array-api-compat",
    "attrs",
    "certifi",
    "click",
    "cligj",
    "pyparsing",
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "typing-inspection",
    "typing-extensions",
    "rich",
    "markdown-it-py",
    "mdurl",
    "pygments",
    "filelock",
    "tenacity",
    "psutil",
    "safetensors",
    "segmentation-models-pytorch",
    "pytest",
    "pluggy",
    "iniconfig",
)
PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux1_x86_64",
)


def pack(
    folder: Path, scenes: Path, config: Path, python: str, more: tuple[str, ...]
) -> dict[str, Any]:
    """Fill ``folder`` with wheels and scenes.

    Args:
        folder: folder to fill; what it holds from before is replaced, apart from ``back``.
        scenes: folder of the scenes.
        config: training config that names the scenes that are kept out.
        python: version of Python there, such as 3.12.
        more: further packages that the machine lacks.

    Returns:
        Sizes in bytes and facts on the scenes.

    Raises:
        ValueError: it is more than may travel, or the folder would be committed.

    """
    from geoae.training.config import TrainConfig
    from scripts.gpu_day.scenes import PACKED, pack_scenes

    _refuse_committed(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wheels = folder / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    fetch_wheels(wheels, python, (*LACKING, *more))
    sizes = {"tree": count_tree(), "wheels": _count(wheels)}
    limit = TRAVELS - BACK - sum(sizes.values())
    if limit <= 0:
        raise ValueError(
            f"{folder}: {sum(sizes.values())} bytes without scenes; lack fewer packages"
        )
    facts = pack_scenes(scenes, TrainConfig.read(config), folder / PACKED, limit)
    return sizes | facts | {"total": check_size(folder)}


def fetch_wheels(folder: Path, python: str, names: tuple[str, ...]) -> None:
    """Download wheels in the versions of ``constraints.txt``, and compress them more tightly."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-qq",
        "--no-deps",
        "--only-binary=:all:",
        "--implementation",
        "cp",
        "--python-version",
        python,
        "--constraint",
        str(ROOT / "constraints.txt"),
        "--dest",
        str(folder),
    ]
    command += [word for name in PLATFORMS for word in ("--platform", name)]
    subprocess.run([*command, *names], check=True)
    for path in folder.glob("*.whl"):
        _recompress(path)


def _recompress(wheel: Path) -> None:
    """Compress a wheel with LZMA, which pip reads as well: rasterio's is a quarter smaller."""
    draft = wheel.with_suffix(".draft")
    with zipfile.ZipFile(wheel) as given, zipfile.ZipFile(draft, "w", zipfile.ZIP_LZMA) as tight:
        for entry in given.infolist():
            tight.writestr(entry, given.read(entry), compress_type=zipfile.ZIP_LZMA)
    draft.replace(wheel)


def count_tree() -> int:
    """Bytes of the files that travel with the repository: committed, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in told.split("\0") if name]
    return sum(path.stat().st_size for path in paths if path.is_file())


def check_size(folder: Path) -> int:
    """Bytes that travel; raise ``ValueError`` where these are more than may."""
    total = count_tree() + _count(folder)
    if total > TRAVELS:
        raise ValueError(f"{folder}: {total} bytes with the tree, of which {TRAVELS} may travel")
    return total


def _count(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _refuse_committed(folder: Path) -> None:
    """Raise ``ValueError`` where git would see the folder as part of the repository."""
    inside = folder.resolve().is_relative_to(ROOT)
    command = ["git", "check-ignore", "-qq", str(folder.resolve())]
    if inside and subprocess.run(command, cwd=ROOT).returncode:
        raise ValueError(f"{folder}: is not ignored by git; give a folder in build/")
