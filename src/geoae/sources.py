"""Former import path of ``geoae.catalog.sources``, for scripts that were written for 0.1."""

from geoae.catalog.sources import scenes

__all__ = ["scenes"]
