"""Names of the files beside a scene that GDAL reads with it."""

import os

__all__ = ["name_sidecars"]

# What follows the name of a scene, and what replaces its suffix, as for world files and RPCs.
AFTER = (".aux.xml", ".msk")
INSTEAD = (".tfw", ".j2w", ".wld", "_RPC.TXT", "_rpc.txt", ".RPB", ".rpb")


def name_sidecars(scene: str) -> list[str]:
    """Name the files that may be beside a scene."""
    stem = os.path.splitext(scene)[0]  # noqa: PTH122 - called for every scene
    return [scene + end for end in AFTER] + [stem + end for end in INSTEAD]
