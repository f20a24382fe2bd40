"""geoae's command with its forward passes timed: ``python -m scripts.gpu_day.measured FACTS.json
ARGUMENT...``, where the arguments are those of ``geoae``.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from geoae.cli.process import tune_process

tune_process()  # before numpy is imported, as the command does

import torch  # noqa: E402

from geoae.__main__ import main as command  # noqa: E402
from geoae.models.torch_restorer import TorchRestorer  # noqa: E402
from scripts.gpu_day.device import (  # noqa: E402
    Mark,
    Sampler,
    mark,
    peak_mib,
    seconds_between,
    synchronize,
    union,
)

__all__ = ["Passes", "main"]


class Passes:
    """Marks the begin and the end of each forward pass of ``TorchRestorer`` on the device."""

    def __init__(self) -> None:
        self.marks: list[tuple[Mark, Mark]] = []
        self.walls: list[float] = []
        """Time of this process before the first pass and after each."""
        self.pixels = 0
        """Pixels of one component that the network has seen."""
        self.device = torch.device("cpu")
        self.sampler: Sampler | None = None

    def watch(self) -> None:
        """Take the place of ``TorchRestorer._forward``, which is called once a pass."""
        forward = TorchRestorer._forward

        def timed(restorer: TorchRestorer, *given: torch.Tensor) -> torch.Tensor:
            if not self.walls:
                self.device = restorer.device
                self.walls.append(time.perf_counter())
                self.sampler = Sampler(self.device)
                self.sampler.__enter__()
            began = mark(self.device)
            residual = forward(restorer, *given)
            self.marks.append((began, mark(self.device)))
            self.walls.append(time.perf_counter())
            self.pixels += given[0].numel()
            return residual

        TorchRestorer._forward = timed  # type: ignore[assignment,method-assign]

    def describe(self) -> dict[str, Any]:
        """Say when the passes ran, and what share of the wall they took; call it after the last."""
        if self.sampler is None:
            raise RuntimeError("no tile reached the network")
        self.sampler.__exit__()
        synchronize(self.device)
        first = self.marks[0][0]
        spans = [
            (seconds_between(first, begin), seconds_between(first, end))
            for begin, end in self.marks
        ]
        wall = max(end for _, end in spans)
        return {
            "first": self.walls[0],
            "last": self.walls[-1],
            "passes": len(spans),
            "pixels": self.pixels,
            "busy s": union(spans),
            "wall s": wall,
            "sampled %": self.sampler.take_mean(self.walls[-1]),
            "device MiB": peak_mib(self.device),
            "host MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def main() -> None:
    """Run the command, then write what was measured."""
    facts = Path(sys.argv[1])
    sys.argv = ["geoae", *sys.argv[2:]]
    passes = Passes()
    passes.watch()
    command()
    facts.write_text(json.dumps(passes.describe()))


if __name__ == "__main__":
    main()
