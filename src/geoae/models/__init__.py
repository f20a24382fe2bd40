"""Model folders, and the restorers that run them."""
