"""Measure geoae on a bare machine with one GPU; ``scripts/gpu-day`` is the command."""
