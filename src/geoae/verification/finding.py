"""The result of a check: one figure with a limit, and how figures are measured."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, computed_field

from geoae.verification.bench import Bench

__all__ = ["Finding", "count_differences", "largest", "tolerance"]

# Model units: four standard deviations of a scene's leading component are one.
TOLERANCE = 1e-4
# In bf16, sums are rounded to eight bits in an order that depends on the tile's shape.
TOLERANCE_BF16 = 2e-2


class Finding(BaseModel):
    """The result of a check, which passes where ``figure`` is at most ``limit``."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    measured: str
    figure: float
    limit: float
    unit: str
    note: str = Field("", description="what else is worth knowing, without a limit")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether the promise is kept; a figure of NaN does not pass."""
        return bool(self.figure <= self.limit)


def tolerance(bench: Bench) -> float:
    """Return how far two results of one network may differ.

    Args:
        bench: the model and its precision.

    Returns:
        The largest difference, in model units.

    """
    return TOLERANCE_BF16 if " bf16 " in f" {bench.restorer.setting} " else TOLERANCE


def count_differences(found: NDArray[Any], expected: NDArray[Any]) -> int:
    """Count values whose bits differ.

    Args:
        found: an array.
        expected: an array of the same shape and dtype.

    Returns:
        The number of such values.

    """
    size = expected.dtype.itemsize
    one, other = (
        np.ascontiguousarray(array).view(np.uint8).reshape(-1, size) for array in (found, expected)
    )
    return int((one != other).any(axis=1).sum())


def largest(difference: NDArray[np.float32]) -> float:
    """Return the largest absolute value.

    Args:
        difference: values of any shape.

    Returns:
        The largest one; NaN where there is one.

    """
    return float(np.abs(difference).max())
