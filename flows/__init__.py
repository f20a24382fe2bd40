"""Prefect flows over geoae: doors without logic of their own."""
