"""Which scenes there are: folders, globs, lists and STAC."""
