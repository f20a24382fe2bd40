"""Tiles of a scene and their blend, as pure arithmetic."""
