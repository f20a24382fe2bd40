"""How far the restoration of an archive has come, and what became of its scenes."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from geoae.archive.triage import Outcome, count_by_status
from geoae.errors import GeoaeError

__all__ = ["BatchProgress", "BatchReport"]


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far the restoration of an archive has come."""

    latest: Outcome
    """Outcome of the scene that ended last."""
    done: int
    """Scenes that have ended."""
    total: int
    """Scenes to restore."""
    failed: int
    """Scenes of ``done`` that failed."""
    megapixels: float
    """Pixels of one band that were restored, in millions."""
    workers: int
    """Workers that there are now."""


class BatchReport(BaseModel):
    """What became of the scenes of an archive."""

    model_config = ConfigDict(frozen=True)

    outcomes: list[Outcome]
    """The outcome of each scene that was looked at or restored."""
    seconds: float
    """Time that it took."""
    workers: int
    """Workers that there were at the end."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of scenes of each status."""
        return count_by_status(self.outcomes)

    @property
    def megapixels_per_second(self) -> float:
        """Restored pixels of one band, in millions a second."""
        return sum(one.megapixels for one in self.outcomes) / max(self.seconds, 1e-9)

    def require(self) -> None:
        """Raise ``GeoaeError`` where a scene has failed."""
        if failed := self.counts.get("failed"):
            raise GeoaeError(
                f"{failed} of {len(self.outcomes)} scenes failed, for the reasons above"
            )
