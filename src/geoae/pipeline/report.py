"""The report of a run."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["RestoreReport"]


class RestoreReport(BaseModel):
    """The result of one restoration; ``--report`` writes it as JSON."""

    model_config = ConfigDict(frozen=True)

    status: Literal["restored", "skipped"] = Field(
        description="skipped: the target already was this very result"
    )
    source: str
    target: str
    model: str
    digest: str
    setting: str = Field(description="device type, precision, runtime, batch")
    fingerprint: str
    height: int
    width: int
    bands: list[int] = Field(description="restored, 1-based")
    copied: dict[int, str] = Field(description="bands copied untouched, with the reason")
    tile: tuple[int, int] = Field(description="height and width in pixels")
    overlap: int
    tiles: int
    tiles_computed: int = Field(description="by this run; a resumed run computes what was missing")
    tiles_empty: int = Field(description="without a valid pixel, hence not computed")
    slabs_resumed: int = Field(description="found finished from an earlier run")
    seconds: float
    megapixels_per_second: float
    unit: str = Field("DN", description="unit of the noise: DN, dB, or of the logarithm")
    sigma_before: list[float] = Field(
        description=(
            "noise of each restored band, in DN or ``unit``; 0 where there is none, or where it"
            " cannot be told from texture"
        )
    )
    slope: list[float] = Field(
        description=(
            "how the variance of the noise of each restored band grows with its signal, in DN; 0"
            " where it is constant"
        )
    )
    sigma_after: list[float] = Field(
        description=(
            "noise of each restored band of the output, in DN or ``unit``, estimated as if it were"
            " constant and not clipped; 0 where ``sigma_before`` is 0"
        )
    )
    changes: bool = Field(
        True,
        description=(
            "whether there was anything to correct, sharpen or take; where not, the restored bands"
            " are those of the source"
        ),
    )
    mtf: float | None = Field(
        None,
        description=(
            "modulation transfer at the Nyquist frequency that sharpening undid; null without"
            " sharpening"
        ),
    )
    bias: list[float] = Field(
        default_factory=list,
        description="change of the mean of each restored band on the sampled windows, in DN",
    )
    steps: list[str] = Field(
        default_factory=list, description="what was done to the scene and why, one line each"
    )
    warnings: list[str] = Field(
        default_factory=list, description="one line each, for whoever asked for the run"
    )
