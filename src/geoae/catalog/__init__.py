"""Find scenes: in folders, by globs, in lists and in STAC."""
