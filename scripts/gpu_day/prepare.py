"""The step ``prepare``: what the machine is, whether all is there, and scenes as files."""

import importlib
import os
import platform
import sys
from importlib.metadata import version
from typing import Any

from scripts.gpu_day.day import Day, Task

__all__ = ["NEEDED", "list_tasks"]

# What the steps import.
NEEDED = (
    "numpy",
    "array_api_compat",
    "scipy",
    "torch",
    "lightning",
    "torchmetrics",
    "timm",
    "tensorboard",
    "matplotlib",
    "rasterio",
    "pydantic",
    "click",
    "rich",
    "psutil",
    "filelock",
    "tenacity",
    "safetensors",
    "segmentation_models_pytorch",
    "pytest",
    "geoae.pipeline.run",
    "geoae.training.fit",
)
PACKAGES = ("numpy", "scipy", "torch", "lightning", "timm", "rasterio", "pydantic", "pytest")


def list_tasks(day: Day) -> list[Task]:
    """List the tasks."""
    return [
        Task("imports", 20, check_imports, always=True),
        Task("machine", 20, lambda: describe_machine(day), always=True),
        Task("scenes", 30, lambda: unpack(day), always=True),
    ]


def check_imports() -> dict[str, Any]:
    """Import all that the steps need; name everything that is missing at once."""
    missing = []
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        raise ImportError(f"missing: {', '.join(missing)}; pack again with --lacks")
    return {"versions": {name: version(name) for name in PACKAGES}}


def describe_machine(day: Day) -> dict[str, Any]:
    """Describe interpreter, cores, memory and device."""
    import psutil
    import torch

    device = torch.device(day.device)
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        told = {
            "device": facts.name,
            "device MiB": facts.total_memory >> 20,
            "CUDA": torch.version.cuda,
        }
    else:
        told = {"device": platform.processor() or platform.machine(), "device MiB": 0, "CUDA": "no"}
    return told | {
        "Python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "memory MiB": psutil.virtual_memory().total >> 20,
    }


def unpack(day: Day) -> dict[str, Any]:
    """Write the scenes as files into the work folder, where they are not there yet."""
    from scripts.gpu_day.scenes import PACKED, unpack_scenes

    return unpack_scenes(day.packed / PACKED, day.work / "scenes")
