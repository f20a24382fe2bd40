"""Many scenes: which still need restoring, which are done, and which cannot be restored."""
