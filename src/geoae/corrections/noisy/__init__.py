"""Search for lines that are noisier than the others."""
