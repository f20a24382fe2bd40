import torch

from geoae.networks.halo import measure_field, measure_halo


class Lines(torch.nn.Module):
    """Looks farther along rows than along columns."""

    channels, multiple, field = 1, 1, 3

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, (7, 3), padding=(3, 1))
        torch.nn.init.constant_(self.conv.weight, 0.1)

    def forward(self, pixels: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return self.conv(pixels)


def test_field_and_halo_count_rows_as_well_as_columns():
    assert measure_field(Lines(), 1, 1) == measure_halo(Lines(), 1, 1) == 3


class Faint(Lines):
    """Looks one pixel far, but for a weight too small to count."""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[..., 2:5, :] = 0.1
            self.conv.weight[..., 0, 1] = 1e-8


def test_the_halo_counts_what_changes_a_pixel_and_the_field_all():
    assert measure_halo(Faint(), 1, 1) == 1
    assert measure_field(Faint(), 1, 1) == 3


class Coloured(Lines):
    """Looks farther where the noise has low frequencies alone."""

    levels = 9

    def forward(self, pixels, sigma, shape=None):
        far = shape is not None and bool((shape[..., 8] < 0.1).all())
        return self.conv(pixels) if far else pixels * sigma


def test_the_halo_of_a_network_that_takes_a_spectrum_is_that_of_its_worst_noise():
    assert measure_halo(Coloured(), 1, 1) == 3
