"""Options that several subcommands share."""

from collections.abc import Callable, Sequence
from typing import Any

import click

__all__ = ["DEVICE", "PRECISION", "with_options", "with_output_options"]

DEVICE = click.option("--device", metavar="auto|cpu|cuda|cuda:N", default="auto", show_default=True)
PRECISION = click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True
)
OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--model",
        metavar="NAME|PATH",
        help="Shipped model or model folder; identity changes nothing.",
    ),
    click.option(
        "--sigma",
        metavar="auto|DN|DN,DN,...",
        help="Noise of all restored bands, or of each; auto estimates it.",
    ),
    click.option(
        "--psd",
        metavar="NAME|PATH",
        help="Spectrum of the noise: a known product's, or a file of its power spectral density.",
    ),
    click.option(
        "--steps",
        metavar="auto|none|lines,pixels,stripes,bursts,noise",
        help="What is done; auto, the default, does what the scene needs.",
    ),
    click.option(
        "--speckle",
        type=click.Choice(["amplitude", "intensity", "db"]),
        help="What radar pixels are: their speckle is restored in the logarithm.",
    ),
    click.option(
        "--sharpen",
        metavar="MTF|auto",
        help="Undo the blur of a sensor with this modulation transfer at Nyquist, such as 0.2.",
    ),
    DEVICE,
    PRECISION,
    click.option("--recipe", metavar="NAME|PATH", help="Options for scenes of one kind, as TOML."),
    click.option(
        "--tile", type=click.IntRange(1), metavar="N", help="Largest side of a tile, in pixels."
    ),
    click.option(
        "--overlap", type=click.IntRange(1), metavar="N", help="Least overlap of tiles, in pixels."
    ),
    click.option(
        "--batch-size", type=click.IntRange(1), metavar="N", help="Samples of one forward pass."
    ),
    click.option("--bands", metavar="1-3,7", help="Bands to restore; others are copied."),
    click.option(
        "--nodata",
        metavar="VALUE",
        help="Value of pixels without a measurement that the file does not declare.",
    ),
    click.option(
        "--tta",
        is_flag=True,
        default=None,
        help="Mean over eight turns and flips: eight times as slow.",
    ),
    click.option(
        "--profile", type=click.Choice(["cog", "gtiff"]), help="Kind of file; cog by default."
    ),
]
OUTPUT_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("--overwrite", is_flag=True, help="Replace an output that is another result."),
    click.option("--fresh", is_flag=True, help="Discard what an interrupted run left."),
    click.option(
        "--strict", is_flag=True, help="Refuse a scene of which the output cannot hold something."
    ),
]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``OPTIONS`` to a command, in their order."""
    return _add(command, OPTIONS)


def with_output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``OUTPUT_OPTIONS`` to a command, in their order."""
    return _add(command, OUTPUT_OPTIONS)


def _add(
    command: Callable[..., None], options: Sequence[Callable[[Any], Any]]
) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command
