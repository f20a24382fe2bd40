"""Decide all that a restoration needs before its first tile."""
