"""Where the models and recipes that travel with geoae are, installed or in a checkout."""

from pathlib import Path

__all__ = ["shipped"]


def shipped(kind: str) -> Path:
    """Folder of ``kind`` (``models`` or ``tiles``): inside the wheel, else beside ``src``."""
    inside = Path(__file__).parent / "_shipped" / kind
    return inside if inside.is_dir() else Path(__file__).parents[2] / kind
