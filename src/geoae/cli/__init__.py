"""The command ``geoae``."""
