"""The demonstration of ``geoae demo``."""
