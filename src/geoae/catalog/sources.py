"""List the scenes of folders, stores, globs, lists and STAC collections; name their outputs."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal

from geoae.catalog.s3 import is_s3, list_with_sidecars, to_url
from geoae.catalog.sidecars import name_sidecars
from geoae.errors import InputError
from geoae.system.files import is_local

__all__ = ["SORT_KEYS", "SceneRef", "SortKey", "scenes", "scenes_below", "sort_scenes"]

SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt", ".img")
# A file that lists scenes, one a line.
LIST = ".txt"
STAC_API = re.compile(r"https?://.*/collections/[^/]+/?$")
SortKey = Literal["name", "newest", "oldest", "smallest"]


@dataclass(frozen=True, slots=True)
class SceneRef:
    """A scene that was found."""

    source: str
    """The scene, as GDAL opens it."""
    name: str
    """Path of its output below the target folder."""
    size: int = 0
    """Size in bytes, or 0 if unknown."""
    changed: float = 0.0
    """Time of change in seconds since 1970, or 0 if unknown."""
    listed: str = ""
    """Its stamp when a store listed it; empty for anything else."""

    @property
    def stamp(self) -> str:
        """A text that differs once a file or a sidecar has changed, as far as that can be seen."""
        if not is_local(self.source):
            return self.listed
        stats = [_stat(name) for name in (self.source, *name_sidecars(self.source))]
        return (
            "+".join(f"{stat.st_size}-{stat.st_mtime_ns}" for stat in stats if stat)
            if stats[0]
            else "gone"
        )


SORT_KEYS: dict[SortKey, Callable[[SceneRef], tuple[float | str, str]]] = {
    "name": lambda found: (found.name, found.name),
    "newest": lambda found: (-found.changed, found.name),
    "oldest": lambda found: (found.changed, found.name),
    "smallest": lambda found: (found.size, found.name),
}


def scenes(
    where: str | Sequence[str],
    *,
    since: datetime | timedelta | None = None,
    beside: str | None = None,
) -> list[SceneRef]:
    """List scenes by name. Hidden files and folders, which hold drafts and parts, are left out.

    Args:
        where: a folder, which is searched with its subfolders; the same in a store,
            ``s3://BUCKET/FOLDER/``; a glob; a scene; a text file ``NAME.txt`` that lists scenes,
            one a line; a STAC ``catalog.json`` or ``collection.json``, or
            ``https://.../collections/NAME`` of its API; or several of these.
        since: only scenes that changed at this time or later, or within this time until now.
        beside: folder of outputs, which is left out where it lies within ``where``.

    Returns:
        The scenes.

    Raises:
        InputError: there is no such place, or it cannot be read.

    """
    start = datetime.now(UTC) - since if isinstance(since, timedelta) else since
    found = _unique(_list_scenes(where, start))
    outputs = _absolute(f"{beside.rstrip('/')}/") if beside else None
    kept = [one for one in found if not outputs or not _absolute(one.source).startswith(outputs)]
    if found and not kept:
        raise InputError(
            f"{beside}: holds the scenes themselves, not only outputs; choose a target outside of"
            f" {where}"
        )
    if start is not None:
        kept = [one for one in kept if not one.changed or one.changed >= start.timestamp()]
    return sorted(kept, key=SORT_KEYS["name"])


def sort_scenes(found: Iterable[SceneRef], order: SortKey, limit: int | None) -> list[SceneRef]:
    """Sort scenes.

    Args:
        found: scenes.
        order: key of ``SORT_KEYS``.
        limit: most scenes to return; None for all.

    Returns:
        The first scenes in that order.

    """
    return sorted(found, key=SORT_KEYS[order])[:limit]


def scenes_below(places: Sequence[Path]) -> list[tuple[str, Path]]:
    """List names and paths of the rasters in ``places``, which are files or folders.

    Raises:
        InputError: there is none, or two have the same name.

    """
    found: list[tuple[str, Path]] = []
    for place in places:
        if place.is_dir():
            inside = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
            found += [(str(path.relative_to(place)), path) for path in inside]
        elif place.exists():
            found.append((place.name, place))
        else:
            raise InputError(
                f"{place}: does not exist; give --scenes a folder of rasters, or rasters"
            )
    names = [name for name, _ in found]
    for name, times in Counter(names).items():
        if times > 1:
            raise InputError(
                f"{name}: is in two of the places of --scenes; give the folder above them, once"
            )
    if not found:
        raise InputError(
            f"{places[0]}: holds no raster ({', '.join(SUFFIXES)}); give --scenes another folder"
        )
    return found


def _list_scenes(where: str | Sequence[str], since: datetime | None) -> list[SceneRef]:
    if isinstance(where, str):
        return _list_place(where, since)
    places = [one for one in where if _is_place(one)]
    found = [scene for place in places for scene in _list_place(place, since)]
    found += _refer_to_names([one for one in where if not _is_place(one)])
    # A scene may be named and lie in a folder that is named.
    return list({scene.source: scene for scene in reversed(found)}.values())


def _is_place(where: str) -> bool:
    """Whether ``where`` may hold several scenes."""
    return bool(
        where.endswith((".json", LIST))
        or STAC_API.match(where)
        or Path(where).is_dir()
        or _is_prefix(where)
        or _is_glob(where)
    )


def _is_prefix(where: str) -> bool:
    """Whether ``where`` is a folder of a store rather than a scene in it."""
    return is_s3(where) and not PurePosixPath(where).name.lower().endswith(SUFFIXES)


def _is_glob(where: str) -> bool:
    return bool(re.search(r"[*?\[]", where)) and is_local(where) and not Path(where).is_file()


def _list_place(where: str, since: datetime | None) -> list[SceneRef]:
    if where.endswith(".json") or STAC_API.match(where):
        from geoae.catalog.stac import items

        return [
            SceneRef(source, name, changed=changed) for source, name, changed in items(where, since)
        ]
    if Path(where).is_dir():
        return _in_folder(Path(where))
    if _is_prefix(where):
        return _in_store(f"{where.rstrip('/')}/")
    if _is_glob(where):
        root = _fixed_part(where)
        paths = root.glob(Path(where).relative_to(root).as_posix())
        return _refer_to_files(
            [path for path in paths if path.is_file() and not _is_hidden(path.relative_to(root))],
            root,
        )
    if where.endswith(LIST):
        return _refer_to_names(_read_list(Path(where)))
    if Path(where).is_file() or not is_local(where):
        return _refer_to_names([where])
    raise InputError(
        f"{where}: no such folder or scene; give a folder, a glob, a scene, a list or a STAC"
        " collection"
    )


def _read_list(path: Path) -> list[str]:
    """Read the names in a text file, one a line; empty lines and those after # do not count."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as a list of scenes ({error}); write one a line, in UTF-8"
        ) from error
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise InputError(f"{path}: lists no scene; write one a line")
    return names


def _in_folder(folder: Path) -> list[SceneRef]:
    paths = [
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
    ]
    return _refer_to_files(
        [path for path in paths if not _is_hidden(path.relative_to(folder))], folder
    )


def _in_store(prefix: str) -> list[SceneRef]:
    listed = list_with_sidecars(prefix, SUFFIXES, name_sidecars)
    seen = [(name, one) for name, one in listed if not _is_hidden(PurePosixPath(name))]
    return [SceneRef(one.name, name, one.size, one.changed, one.stamp) for name, one in seen]


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _fixed_part(pattern: str) -> Path:
    """Return the folder above the first wildcard of a glob."""
    parts = Path(pattern).parts
    wild = next(index for index, part in enumerate(parts) if re.search(r"[*?\[]", part))
    return Path(*parts[:wild])


def _refer_to_files(paths: Iterable[Path], root: Path) -> list[SceneRef]:
    placed = []
    for path in paths:
        stat = path.stat()
        name = PurePosixPath(path.relative_to(root)).as_posix()
        placed.append(SceneRef(str(path), name, stat.st_size, stat.st_mtime))
    return placed


def _refer_to_names(names: list[str]) -> list[SceneRef]:
    """Describe the scenes of a list: paths keep their folders below the one they share."""
    missing = [name for name in names if is_local(name) and not Path(name).is_file()]
    if missing:
        raise InputError(f"{missing[0]}: no such scene; correct the list")
    local = [Path(name) for name in names if is_local(name)]
    root = Path(os.path.commonpath([path.parent for path in local])) if local else Path()
    remote = [
        SceneRef(name, PurePosixPath(name.split("?")[0]).name)
        for name in names
        if not is_local(name)
    ]
    return _refer_to_files(local, root) + remote


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - called for every scene
    except OSError:
        return None


def _unique(found: list[SceneRef]) -> list[SceneRef]:
    """Name outputs ``.tif``; where two would be equal, both keep the suffix of their source before
    it.
    """
    names = [str(PurePosixPath(one.name).with_suffix(".tif")) for one in found]
    times = Counter(names)
    given = [
        replace(one, name=f"{one.name}.tif" if times[name] > 1 else name)
        for one, name in zip(found, names, strict=True)
    ]
    seen: set[str] = set()
    for one in given:
        if one.name in seen:
            raise InputError(
                f"{one.source}: another scene has the same name; put them into folders of their own"
            )
        seen.add(one.name)
    return given


def _absolute(name: str) -> str:
    """Write a name so that what is in a folder begins with the folder's, which ends in ``/``."""
    if not is_local(name):
        return to_url(name)
    return os.path.realpath(name) + ("/" if name.endswith("/") else "")
