"""Raster files: reading, checking and writing."""
