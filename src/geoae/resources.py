"""Files that geoae ships (models and recipes), and optional packages."""

from importlib.util import find_spec
from pathlib import Path

from geoae.errors import GeoaeError

__all__ = ["require_extra", "shipped"]


def shipped(kind: str) -> Path:
    """Return the folder of ``kind`` (``models``, ``tiles`` or ``flows``): in the wheel, or beside
    ``src``.
    """
    inside = Path(__file__).parent / "_shipped" / kind
    return inside if inside.is_dir() else Path(__file__).parents[2] / kind


def require_extra(extra: str, *modules: str) -> None:
    """Raise ``GeoaeError`` unless the packages of an optional extra are installed.

    Args:
        extra: name of the extra.
        *modules: modules that must be found.

    Raises:
        GeoaeError: with the command that installs the extra.

    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise GeoaeError(f"this needs {' and '.join(missing)}: pip install 'geoae[{extra}]'")
