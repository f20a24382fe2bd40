"""Durations, sizes and cures in words, for people."""

from geoae.system.wording import count

__all__ = ["duration", "otherwise", "size"]


def duration(seconds: float) -> str:
    """Format a duration, rounded, for people."""
    if seconds < 1:
        return "less than a second"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s"


def size(rows: int, columns: int, bands: int) -> str:
    """Format the size of a scene.

    Args:
        rows: its height in pixels.
        columns: its width in pixels.
        bands: its number of bands.

    """
    return f"{rows} rows x {columns} columns x {count(bands, 'band')}"


def otherwise(reason: str) -> str:
    """Say how to restore a band that is copied because of its tag, name or values."""
    if reason in ("not among --bands", "no valid pixel"):
        return ""
    return "; to restore it, name it in --bands"
