"""The record of scenes that cannot be restored, kept below a target folder."""

import hashlib
import json
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

from geoae.catalog.s3 import delete_object, is_s3, list_objects, read_object, write_object
from geoae.catalog.sources import SceneRef
from geoae.errors import InputError, OutputError
from geoae.system.files import is_local, to_gdal_name

__all__ = ["Failure", "Failures"]

NAME = ".geoae-failed"


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

    folder: str
    """Folder of the notes, one JSON file for each scene."""
    stored: set[str] | None = field(default=None, compare=False)
    """Notes in a store, which is listed once; None where the folder is of this machine."""

    @classmethod
    def below(cls, target: str) -> "Failures":
        """Return the record below the folder ``target``, on this machine or in S3.

        Raises:
            OutputError: it is elsewhere, or the store does not answer.

        """
        target = to_gdal_name(target)
        folder = f"{target.rstrip('/')}/{NAME}"
        if is_local(target):
            return cls(folder)
        if not is_s3(target):
            raise OutputError(
                f"{target}: is no folder of this machine and none of s3://, where outputs of many"
                " scenes go; choose one, and copy it from there"
            )
        try:
            return cls(folder, {note.name for note in list_objects(f"{folder}/")})
        except InputError as error:
            raise OutputError(str(error)) from error

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
            failure = Failure(**json.loads(self._read(self._path(found))))
        except (InputError, OSError, ValueError, TypeError):
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
        failure = Failure(found.source, found.stamp, options_digest, reason, until)
        note, text = self._path(found), json.dumps(asdict(failure), indent=1)
        try:
            if self.stored is None:
                _write_file(Path(note), text)
            else:
                write_object(note, text.encode())
                self.stored.add(note)
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written ({error.strerror}); allow it"
            ) from error
        except InputError as error:
            raise OutputError(str(error)) from error

    def forget(self, found: SceneRef) -> None:
        """Delete the note of a scene, which has been restored; raise ``OutputError`` where a store
        refuses it.
        """
        note = self._path(found)
        if self.stored is None:
            Path(note).unlink(missing_ok=True)
        elif note in self.stored:
            try:
                delete_object(note)
            except InputError as error:
                raise OutputError(str(error)) from error
            self.stored.discard(note)

    def _read(self, note: str) -> str:
        if self.stored is None:
            return Path(note).read_text()
        return read_object(note).decode() if note in self.stored else ""

    def _path(self, found: SceneRef) -> str:
        return f"{self.folder}/{hashlib.sha256(found.source.encode()).hexdigest()[:24]}.json"


def _write_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{uuid.uuid4().hex}.tmp")
    draft.write_text(text)
    draft.replace(path)
