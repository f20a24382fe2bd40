"""Making models: chips from real scenes, a Lightning module, a finished model folder at the end."""
