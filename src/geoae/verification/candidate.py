"""The model to verify, as a restorer that the engine can run: a model of geoae, or any callable."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from geoae.diagnosis.noise.level import estimate_noise
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import ModelError, RecipeError
from geoae.models.restorer import Identity, OnHost, Restorer
from geoae.pipeline.job import Job
from geoae.radiometry.scale import Scale
from geoae.system.config import explain
from geoae.types import Array, Samples

__all__ = ["CallableRestorer", "CallableSpec", "Model", "Subject", "subject_of"]

# A name or folder, or a callable from pixels (B, C, H, W) to pixels of that shape.
Model = str | Path | Callable[[Any], Any]
# Percentiles of a band's values that are mapped to the ends of ``span``.
PERCENTILES = (0.5, 99.5)


class CallableSpec(BaseModel):
    """What a caller states of a callable. For models of geoae the card states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: PositiveInt = Field(description="bands it takes at once")
    multiple: PositiveInt = Field(description="what height and width must be divisible by")
    halo: NonNegativeInt = Field(description="distance in pixels from which an input still counts")
    returns: Literal["restored", "residual"] = Field("restored", description="restored or residual")
    span: tuple[FiniteFloat, FiniteFloat] = Field(
        (0.0, 1.0), description="values that it takes for dark and bright"
    )
    tensors: bool = Field(False, description="whether it takes torch tensors; modules always do")

    @classmethod
    def from_keywords(cls, **claims: object) -> Self:
        """Build the claims from keyword arguments; raise ``RecipeError`` with the first error."""
        try:
            found = cls.model_validate(claims)
        except ValidationError as error:
            raise RecipeError(
                f"of a callable, state channels, multiple and halo: {explain(error, cls)}"
            ) from error
        if found.span[0] >= found.span[1]:
            raise RecipeError(f"span = {found.span}: give the darker value first, as in (0, 1)")
        return found


@dataclass(frozen=True, eq=False)
class CallableRestorer(OnHost):
    """A callable as a restorer. In model units, 0 and 1 are the ends of the claimed span."""

    function: Callable[[Any], Any]
    """The callable, on numpy arrays or torch tensors."""
    claims: CallableSpec
    """What its caller states of it."""
    name: str
    """Its name, for the report."""
    channels: int
    """Bands that one sample holds."""
    multiple: int
    """Divisor of tile sides."""
    halo: int
    """Distance in pixels up to which an input changes an output."""
    tile: int = 1024
    """Largest tile side in pixels."""
    digest: str = "callable"
    """In place of a digest of weights."""
    setting: str = "as called"
    """Runtime, for the report."""
    shares_gain: bool = True
    """Yes: each band is mapped by itself."""
    takes_spectrum: bool = False
    """No: a callable gets the pixels alone."""

    @classmethod
    def of(cls, function: Callable[[Any], Any], claims: CallableSpec) -> Self:
        """Wrap a callable.

        Args:
            function: the callable; its ``__name__`` is used in reports.
            claims: what the caller states of it.

        """
        name = getattr(function, "__name__", type(function).__name__)
        return cls(function, claims, name, claims.channels, claims.multiple, claims.halo)

    def batch(self, height: int, width: int) -> int:
        """Return 1: any callable has room for one tile.

        Args:
            height: height of a sample in pixels.
            width: width of a sample in pixels.

        """
        return 1

    def __call__(self, pixels: Array, sigma: Array, shape: Array | None = None) -> Array:
        """Return the noise of ``pixels`` ``(B, C, H, W)`` in model units; the callable does not get
        ``sigma`` and ``shape``.

        Raises:
            ModelError: the callable fails or returns another shape.

        """
        low, high = self.claims.span
        given = (pixels * (high - low) + low).astype(np.float32)
        try:
            found = self._call(given.copy())
        except Exception as error:  # a callable may raise anything
            reason = " ".join(str(error).split())
            raise ModelError(
                f"{self.name}: fails on pixels of shape {given.shape} ({type(error).__name__}:"
                f" {reason}); it must take any batch of channels, with sides divisible by multiple"
            ) from error
        if found.shape != given.shape:
            raise ModelError(
                f"{self.name}: returns shape {found.shape} for {given.shape}; it must return as"
                " many pixels"
            )
        residual = found if self.claims.returns == "residual" else given - found
        return (residual / (high - low)).astype(np.float32)

    @torch.inference_mode()
    def _call(self, pixels: Array) -> NDArray[Any]:
        module = self.function if isinstance(self.function, torch.nn.Module) else None
        if module is None and not self.claims.tensors:
            return np.asarray(self.function(pixels))
        place = next(iter([*module.parameters(), *module.buffers()]), None) if module else None
        tensor = torch.from_numpy(pixels).to(place.device if place is not None else "cpu")
        return torch.as_tensor(self.function(tensor)).float().cpu().numpy()


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, ready to be verified."""

    restorer: Restorer
    """The model as it runs on this machine."""
    exact: Restorer
    """The same model on the CPU in float32."""
    scale_of: Callable[[Samples], Scale]
    """Computes the map to model units from a sample of a scene."""
    noise_aware: bool
    """Whether the model takes the noise level as input."""


@contextmanager
def subject_of(
    model: Model, device: str, precision: str, claims: dict[str, Any]
) -> Iterator[Subject]:
    """Make a model ready to be verified. A torch module is in evaluation mode inside the block.

    Args:
        model: a shipped name, a model folder, or a callable.
        device: auto, cpu, cuda or cuda:N; of a model of geoae.
        precision: auto, fp32 or bf16; of a model of geoae.
        claims: fields of ``CallableSpec``, for a callable.

    Yields:
        The model.

    Raises:
        ModelError: the model cannot be loaded.
        DeviceError: the device cannot be used.
        RecipeError: ``claims`` are wrong, or were given for a model of geoae.

    """
    if not isinstance(model, str | Path):
        called = CallableRestorer.of(model, CallableSpec.from_keywords(**claims))
        with _evaluation_mode(model):
            yield Subject(
                called,
                called,
                lambda samples: _span_scale(samples, called.channels),
                noise_aware=False,
            )
        return
    if claims:
        raise RecipeError(
            f"{next(iter(claims))}: is known from the model's card; state it of a callable alone"
        )
    restorer, exact = _load_model(str(model), device, precision)
    yield Subject(
        restorer,
        exact,
        lambda samples: SceneStatistics.of(samples).scale(
            restorer.channels, shares_gain=restorer.shares_gain
        ),
        noise_aware=True,
    )


def _load_model(name: str, device: str, precision: str) -> tuple[Restorer, Restorer]:
    """Load the model as it runs on this machine, and on the CPU in float32."""
    if name == "identity":
        Job.checked(source=name, device=device, precision=precision)
        return Identity(), Identity()
    from geoae.models.folder import load

    restorer = load(name, device=device, precision=precision)
    if restorer.device.type == "cpu" and restorer.precision == "fp32":
        return restorer, restorer
    return restorer, load(name, device="cpu", precision="fp32")


@contextmanager
def _evaluation_mode(model: Callable[[Any], Any]) -> Iterator[None]:
    """Put a torch module into evaluation mode inside the block; afterwards each part has its mode
    again.
    """
    modes = (
        {part: part.training for part in model.modules()}
        if isinstance(model, torch.nn.Module)
        else {}
    )
    try:
        for part in modes:
            part.training = False
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _span_scale(samples: Samples, group: int) -> Scale:
    """Map each band by itself: its darkest and brightest values to 0 and 1."""
    bands = len(samples[0][0])
    valid = [np.concatenate([pixels[b][mask[b]] for pixels, mask in samples]) for b in range(bands)]
    low, high = np.array(
        [np.percentile(values, PERCENTILES) for values in valid], dtype=np.float64
    ).T
    gain = np.where(high > low, high - low, 1.0)
    components = -(-bands // group) * group
    inverse = np.eye(bands, components) * gain[:, None]
    forward = np.eye(components, bands) / gain
    noise = estimate_noise(samples)
    return Scale(low, forward, inverse, forward @ noise, noise, np.zeros(bands))
