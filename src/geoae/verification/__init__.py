"""``geoae verify``: each promise of the pipeline and of a model, measured."""
