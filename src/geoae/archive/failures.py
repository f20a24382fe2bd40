"""The record of scenes that cannot be restored, kept below a target folder."""

import hashlib
import json
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from geoae.catalog.sources import SceneRef
from geoae.errors import OutputError
from geoae.system.files import is_local

__all__ = ["Failure", "Failures"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a scene could not be restored."""

    source: str
    """The scene, as GDAL opens it."""
    stamp: str
    """Size and time of change of the scene when it failed."""
    order: str
    """Digest of the model and options with which it failed."""
    reason: str
    """Message of the error."""
    until: float | None = None
    """Time until which the scene is not tried again, in seconds since 1970; None for good."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Scenes that failed, so that they are not tried again and again.

    A scene is tried again as soon as it, the model or an option changes, its note is deleted, or
    the time ``until`` has passed.
    """

    folder: Path
    """Folder of the notes, one JSON file for each scene."""

    @classmethod
    def below(cls, target: str) -> "Failures":
        """Return the record below the folder ``target``; raise ``OutputError`` where it is not
        local.
        """
        if not is_local(target):
            raise OutputError(
                f"{target}: is no folder of this machine, where outputs of many scenes go; choose"
                " one, and copy it from there"
            )
        return cls(Path(target) / ".geoae-failed")

    def find(self, found: SceneRef, options_digest: str) -> Failure | None:
        """Look up the failure of a scene.

        Args:
            found: the scene.
            options_digest: digest of model and options.

        Returns:
            The failure; None where the scene, or the digest, has changed since, or nothing is
            recorded.

        """
        try:
            failure = Failure(**json.loads(self._path(found).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        over = failure.until is not None and failure.until < time.time()
        return (
            failure
            if (failure.stamp, failure.order) == (found.stamp, options_digest) and not over
            else None
        )

    def note(
        self, found: SceneRef, options_digest: str, reason: str, *, seconds: float | None = None
    ) -> None:
        """Record that a scene failed.

        Args:
            found: the scene.
            options_digest: digest of model and options.
            reason: message of the error.
            seconds: how long not to try again; None for good.

        Raises:
            OutputError: the note cannot be written.

        """
        until = None if seconds is None else time.time() + seconds
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = self.folder / f"{uuid.uuid4().hex}.tmp"
            draft.write_text(
                json.dumps(
                    asdict(Failure(found.source, found.stamp, options_digest, reason, until)),
                    indent=1,
                )
            )
            draft.replace(self._path(found))
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written ({error.strerror}); allow it"
            ) from error

    def forget(self, found: SceneRef) -> None:
        """Delete the note of a scene, which has been restored."""
        self._path(found).unlink(missing_ok=True)

    def _path(self, found: SceneRef) -> Path:
        return self.folder / f"{hashlib.sha256(found.source.encode()).hexdigest()[:24]}.json"
