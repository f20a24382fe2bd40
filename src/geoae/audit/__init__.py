"""Checks of a written output against its source."""
