"""What is there beside the code: models and recipes that travel with geoae, and optional
packages.
"""

from importlib.util import find_spec
from pathlib import Path

from geoae.errors import GeoaeError

__all__ = ["require_extra", "shipped"]


def shipped(kind: str) -> Path:
    """Folder of ``kind`` (``models`` or ``tiles``): inside the wheel, else beside ``src``."""
    inside = Path(__file__).parent / "_shipped" / kind
    return inside if inside.is_dir() else Path(__file__).parents[2] / kind


def require_extra(extra: str, *modules: str) -> None:
    """Raise ``GeoaeError`` with the cure unless all ``modules`` of an optional ``extra`` are
    installed.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise GeoaeError(f"this needs {' and '.join(missing)}: pip install 'geoae[{extra}]'")
