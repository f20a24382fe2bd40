"""Every error geoae raises on purpose, as one tree.

Each message is one line that carries the offending value and the cure. ``transient`` marks the
errors worth a retry: the same call may succeed later without anyone changing anything.

    GeoaeError
    ├── InputError        the source raster: missing, unreadable, of a kind that cannot be restored
    │   └── ReadError     a block that would not read (transient)
    ├── OutputError       the target: exists, unwritable, disk full
    │   ├── BusyError     another run is writing the same target (transient)
    │   └── RejectedError an output that differs from its source in what must stay
    ├── ModelError        a card, weights or a network that cannot be used
    ├── RecipeError       options that contradict each other, the model or the scene
    ├── TrainingError     scenes or settings that cannot be trained on
    ├── DeviceError       the device asked for is absent or out of memory
    └── ClusterError a Dask cluster that does not answer or has lost what it was given (transient)
"""

__all__ = [
    "BusyError",
    "ClusterError",
    "DeviceError",
    "GeoaeError",
    "InputError",
    "ModelError",
    "OutputError",
    "ReadError",
    "RecipeError",
    "RejectedError",
    "TrainingError",
]


class GeoaeError(Exception):
    """Base of all errors of geoae. Its text can be shown to a user as it is."""

    transient = False


class InputError(GeoaeError):
    """The source cannot be opened, or is of a kind that cannot be restored."""


class ReadError(InputError):
    """A block of an open source could not be read."""

    transient = True


class OutputError(GeoaeError):
    """The target cannot be written, or must not be."""


class BusyError(OutputError):
    """Another run holds the target."""

    transient = True


class RejectedError(OutputError):
    """An output differs from its source in what must stay as it was."""


class ModelError(GeoaeError):
    """A model's card, weights or network cannot be used."""


class RecipeError(GeoaeError):
    """Options contradict each other, the model or the scene."""


class TrainingError(GeoaeError):
    """Scenes or settings cannot be used for training."""


class DeviceError(GeoaeError):
    """The device asked for is absent or out of memory."""


class ClusterError(GeoaeError):
    """A Dask cluster does not answer, or its workers or scheduler were lost."""

    transient = True
