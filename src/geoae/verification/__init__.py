"""The promises of the pipeline and of a model, each measured: ``geoae verify``."""
