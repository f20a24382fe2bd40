"""Networks: from pixels and their noise level to the noise, ``(B, C, H, W)`` each.

A network is a ``torch.nn.Module`` with ``forward(pixels, sigma)`` and two attributes:

* ``multiple``: height and width must be divisible by it. It is also the total down-sampling factor,
  so the network is shift-consistent only in steps of it.
* ``field``: the theoretical half receptive field in pixels, an upper bound of the halo.

It predicts the *noise*: ``restored = pixels - forward(pixels, sigma)``.

A network with an attribute ``levels`` of more than 1 takes the shape of the noise's spectrum too,
``forward(pixels, sigma, shape)``; without it, the noise counts as white. ``predict`` calls either.
One with ``shares_gain`` of False takes components that each have a gain of their own; without it,
those that it takes at once have one gain.

``ARCHITECTURES`` lists the networks that a model's card may name. A new network is one file here
and one line there.
"""

from geoae.networks.cae import CAE
from geoae.networks.joint_cae import JointCAE
from geoae.networks.nafnet import NAFNet
from geoae.networks.prediction import predict, takes_spectrum
from geoae.networks.res_cae import ResCAE
from geoae.networks.skip_cae import SkipCAE
from geoae.networks.smp import SMP
from geoae.networks.variational_cae import VariationalCAE

__all__ = [
    "ARCHITECTURES",
    "CAE",
    "SMP",
    "JointCAE",
    "NAFNet",
    "ResCAE",
    "SkipCAE",
    "VariationalCAE",
    "predict",
    "takes_spectrum",
]

ARCHITECTURES = {
    "cae": CAE,
    "joint_cae": JointCAE,
    "nafnet": NAFNet,
    "res_cae": ResCAE,
    "skip_cae": SkipCAE,
    "smp": SMP,
    "variational_cae": VariationalCAE,
}
