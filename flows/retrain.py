"""A better model from recent scenes: ``retrain``."""

from prefect import flow


@flow(name="retrain")
def retrain() -> None:
    """X."""
