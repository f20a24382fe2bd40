"""Corrections of detector faults, fixed for a whole scene before its first tile is restored."""
