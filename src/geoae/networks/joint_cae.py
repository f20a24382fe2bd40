"""The residual autoencoder for several components that tell each other what they see."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from geoae.networks.layers import apply_gate
from geoae.networks.res_cae import ResCAE

__all__ = ["JointCAE", "widen"]


class JointCAE(nn.Module):
    """A ``ResCAE`` of one component, used for each, with exchanges between the components.

    What bands share besides their variance, such as the places of edges, is not gathered by
    principal components: the exchanges carry it from the clear components to the noisy ones. They
    begin as zeros, so a fresh network restores each component by itself. Components without noise,
    as those that fill up a group, are left out.

    Args:
        channels: components that the network takes at once, by falling variance; each with a gain
            of its own.
        widths: as for ``ResCAE``.
        blocks: as for ``ResCAE``.
        upsampling: as for ``ResCAE``.
        activation: as for ``ResCAE``.
        levels: as for ``ResCAE``.
        pointwise: as for ``ResCAE``.

    """

    shares_gain = False

    def __init__(
        self,
        channels: int = 4,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (1, 1, 1, 1, 1),
        upsampling: str = "transposed",
        activation: str = "leaky_relu",
        levels: int = 1,
        pointwise: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = ResCAE(1, widths, blocks, upsampling, activation, levels, pointwise)
        self.channels, self.levels = channels, levels
        self.multiple, self.field = self.trunk.multiple, self.trunk.field
        *outer, middle = widths
        places = {f"encoder{level}": width for level, width in enumerate(outer)}
        places |= {"middle": middle}
        places |= {f"decoder{level}": width for level, width in enumerate(outer) if level}
        self.exchanges = nn.ModuleDict(
            {place: _Exchange(channels, width) for place, width in places.items()}
        )

    def forward(self, pixels: Tensor, sigma: Tensor, shape: Tensor | None = None) -> Tensor:
        """Predict the noise; arguments and result as for ``ResCAE.forward``."""
        noisy = sigma.amax(dim=(2, 3)) > 0
        used = noisy.any(dim=0).nonzero()
        count = int(used.max()) + 1 if len(used) else 0
        if not count:
            return torch.zeros_like(pixels, dtype=torch.float32)

        def apart(given: Tensor) -> Tensor:
            return given[:, :count].flatten(0, 1)[:, None]

        residual = self.trunk.predict_open(
            apart(pixels),
            apart(sigma),
            None if shape is None else apart(shape),
            partial(self._share, noisy[:, :count]),
        )
        together = residual.reshape(-1, count, *residual.shape[2:])
        missing = self.channels - count
        return apply_gate(nn.functional.pad(together, (0, 0, 0, 0, 0, missing)), sigma)

    def _share(self, present: Tensor, place: str, x: Tensor) -> Tensor:
        return cast(Tensor, self.exchanges[place](x, present))


class _Exchange(nn.Module):
    """Adds to the features of each component a linear map of those of all components."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        # From component and feature, to component and feature.
        self.weight = nn.Parameter(torch.zeros(channels, width, channels, width))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Compute the exchange.

        Args:
            x: features ``(B * K, width, H, W)``, those of the K components of a sample side by
                side.
            present: which components tell the others, ``(B, K)``.

        """
        count = present.shape[1]
        weight = self.weight[:count, :, :count].to(x.dtype)
        # On a GPU, each look at what is present would make the host wait.
        if torch.is_grad_enabled() or len(present) > 1 or x.is_cuda:
            told = x.unflatten(0, (-1, count)) * present[..., None, None, None]
            return x + torch.einsum("bkfhw,kfjg->bjghw", told, weight).flatten(0, 1)
        # One sample: pixels as rows of a matrix, which is no copy where channels come last.
        rows = x.permute(0, 2, 3, 1).reshape(count, -1, x.shape[1])
        told = rows.clone()
        for to in range(count):
            for source in present[0].nonzero().flatten().tolist():
                # Not addmm_, which counters of operations do not see.
                torch.addmm(told[to], rows[source], weight[source, :, to], out=told[to])
        height, width = x.shape[2:]
        return told.reshape(count, height, width, -1).permute(0, 3, 1, 2)


def widen(state: Mapping[str, Tensor], network: JointCAE) -> dict[str, Tensor]:
    """Convert the weights of a ``ResCAE`` of one component to those of a ``JointCAE``, which
    restores each component as that does.

    Args:
        state: weights of the ``ResCAE``, of the same levels and widths.
        network: the network that is to have the weights.

    """
    exchanges = {name: one for name, one in network.state_dict().items() if "exchanges." in name}
    trunk = {f"trunk.{name}": weight for name, weight in state.items()}
    return trunk | {name: torch.zeros_like(one) for name, one in exchanges.items()}
