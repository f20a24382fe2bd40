"""Checks of a raster before it is restored."""
