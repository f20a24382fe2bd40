"""Scenes that cannot be restored, remembered below a target folder."""

import hashlib
import json
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from geoae.catalog.sources import Found
from geoae.errors import OutputError
from geoae.system.files import is_local

__all__ = ["Failure", "Failures"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a scene could not be restored; ``stamp`` of the scene and ``order`` as they were then."""

    source: str
    stamp: str
    order: str
    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Failures:
    """Scenes that failed, kept below a target folder so that they are not tried over and over.

    A scene is tried again as soon as it, the model or an option changes, its note is deleted, or
    the time ``until`` which it was put off, in seconds since 1970, has passed.
    """

    folder: Path

    @classmethod
    def below(cls, target: str) -> "Failures":
        """Those of the target folder ``target``; raises ``OutputError`` where that is not of this
        machine.
        """
        if not is_local(target):
            raise OutputError(
                f"{target}: is no folder of this machine, where outputs of many scenes go; choose"
                " one, and copy it from there"
            )
        return cls(Path(target) / ".geoae-failed")

    def known(self, found: Found, order: str) -> Failure | None:
        """The failure of this very scene and order, if it was noted."""
        try:
            failure = Failure(**json.loads(self._path(found).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        over = failure.until is not None and failure.until < time.time()
        return (
            failure if (failure.stamp, failure.order) == (found.stamp, order) and not over else None
        )

    def note(self, found: Found, order: str, reason: str, *, seconds: float | None = None) -> None:
        """Remember that it failed, for ``seconds`` or for good; raises ``OutputError`` where that
        cannot be written.
        """
        until = None if seconds is None else time.time() + seconds
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = self.folder / f"{uuid.uuid4().hex}.tmp"
            draft.write_text(
                json.dumps(
                    asdict(Failure(found.source, found.stamp, order, reason, until)), indent=1
                )
            )
            draft.replace(self._path(found))
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written ({error.strerror}); allow it"
            ) from error

    def forget(self, found: Found) -> None:
        """It is restored now."""
        self._path(found).unlink(missing_ok=True)

    def _path(self, found: Found) -> Path:
        return self.folder / f"{hashlib.sha256(found.source.encode()).hexdigest()[:24]}.json"
