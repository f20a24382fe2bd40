"""Train every contender of the article's claims, measure them, and write ``docs/claims.md``.

    python -m tests.benchmarks.claims.run [--long] [--scenes DIR] [--work .benchmarks/claims]

A contender that is trained stays trained: a run that was stopped goes on, and a change of the text
alone costs nothing. All have the same scenes, steps, batches and noise (``base.toml``).

With ``--long``, the contenders of ``claims-long.toml`` are trained ten times as long, with the
noise of the shipped model (``base-long.toml``), and their page is ``docs/claims-long.md``.
"""

import argparse
import hashlib
import logging
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from geoae.evaluation.measure import Row, evaluate
from geoae.models.card import CARD, Card
from geoae.training.config import TrainConfig
from geoae.training.fit import train

HERE = Path(__file__).parent
SIGMAS = (15.0, 25.0, 50.0)
SIDE = 256

INTRODUCTION = """# The article's claims, tested

geoae began with an article on autoencoders for image enhancement. This page tests the claims of
that article on real scenes. `python -m tests.benchmarks.claims.run` writes it, from the configs in
`tests/benchmarks/claims/`.

All networks had the same training: {steps} steps with {batch} chips of {chip} px, white noise of 0
to 60 of 255 of a band's range (except *factor 0.1*), and the root mean square error in units of the
noise as loss. Two figures in a cell are from two seeds. This training is short: it shows which
design is better, but not how good each one could become. All networks see the bands as principal
components, one at a time.

The figures are PSNR in dB and SSIM, averaged over {scenes} scenes that were not used in training
(their middle {side} px) and over noise of 15, 25 and 50 of 255. `geoae restore` restored the scenes
and estimated the noise itself. The noisy scenes have {noisy}.
"""

LONG = """# The article's claims after ten times the training

1000 steps did not settle all claims of [the claims' page](claims.md). Here networks were trained
with {steps} steps of {batch} chips of {chip} px and the noise that the shipped model was trained
with, white and correlated, of which each network is told the spectrum.
`python -m tests.benchmarks.claims.run --long` writes this page.

The figures are PSNR in dB and SSIM, averaged over {scenes} scenes that were not used in training
(their middle {side} px) and over white noise of 15, 25 and 50 of 255. `geoae restore` restored the
scenes and estimated the noise itself. The noisy scenes have {noisy}. One seed was trained of each;
two seeds of the short training differed by 0.05 dB at most.
"""


@dataclass(frozen=True)
class Training:
    """One training that contenders share, and the page on what it shows."""

    base: dict[str, Any]
    """Config that all contenders share."""
    told: dict[str, Any]
    """Claims, and what differs from ``base`` in each contender."""
    prefix: str
    """What the names of its runs begin with."""
    introduction: str
    """First lines of the page."""
    page: Path
    """The page."""

    @classmethod
    def read(cls, long: bool) -> "Training":
        """Read the short training, or the long one."""
        base, told = read_toml("base.toml"), read_toml("claims.toml")
        if not long:
            return cls(base, told, "", INTRODUCTION, Path("docs/claims.md"))
        base, told = base | read_toml("base-long.toml"), read_toml("claims-long.toml")
        return cls(base, told, "long-", LONG, Path("docs/claims-long.md"))

    def runs(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Contender, name of one of its runs, and the run's config."""
        for contender, changes in self.told["contenders"].items():
            own = {key: value for key, value in changes.items() if key != "seeds"}
            short = contender.replace(" ", "-").replace(",", "").replace("/", "_")
            for seed in range(changes.get("seeds", 1)):
                name = f"{self.prefix}{short}-{seed}"
                yield contender, name, self.base | own | {"name": name, "seed": seed}


def read_toml(name: str) -> dict[str, Any]:
    """Read a file of this folder."""
    return tomllib.loads((HERE / name).read_text())


def trained(config: dict[str, Any], scenes: Path, work: Path) -> Path:
    """The model folder of a run, trained now unless it was by the same config before."""
    settings = TrainConfig.model_validate(config)
    digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]
    folder = work / f"{settings.name}-{digest}"
    if not (folder / CARD).exists():
        print(f"training {settings.name}", flush=True)
        train(settings, scenes, folder.with_suffix(".training"), folder)
    return folder


def cell(rows: list[Row], figure: str, digits: int) -> str:
    return f"{fmean(getattr(row, figure) for row in rows):.{digits}f}"


def table(names: list[str], models: dict[str, list[Path]], rows: list[Row]) -> list[str]:
    """One line a contender; figures of several seeds side by side."""
    lines = ["| network | parameters | kFLOP/px | PSNR | SSIM |", "| --- | --- | --- | --- | --- |"]
    for name in names:
        card = Card.read(models[name][0])
        seeds = [[row for row in rows if row.contender == str(path)] for path in models[name]]
        psnr, ssim = (
            ", ".join(cell(seed, *figure) for seed in seeds)
            for figure in (("psnr", 2), ("ssim", 3))
        )
        lines.append(
            f"| {name} | {card.parameters:,} | {card.kflop_per_pixel:.0f} | {psnr} | {ssim} |"
        )
    return lines


def page(training: Training, models: dict[str, list[Path]], rows: list[Row]) -> str:
    noisy, base = [row for row in rows if row.contender == "noisy"], training.base
    text = training.introduction.format(
        steps=base["cycles"][0],
        batch=base["batch_size"],
        chip=base["chip"],
        side=SIDE,
        scenes=len(base["validation"]),
        noisy=f"{cell(noisy, 'psnr', 2)} dB and {cell(noisy, 'ssim', 3)}",
    )
    sections = [text]
    for claim in training.told["claims"]:
        lines = [
            f"## {claim['title']}",
            "",
            f"*{claim['says']}*",
            "",
            *table(claim["contenders"], models, rows),
        ]
        sections.append("\n".join([*lines, "", claim["verdict"].strip(), ""]))
    return "\n".join(sections)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--scenes", type=Path, default=Path("../shared/scenes/train"))
    parser.add_argument("--work", type=Path, default=Path(".benchmarks/claims"))
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    training = Training.read(options.long)
    models: dict[str, list[Path]] = {}
    for contender, _, config in training.runs():
        models.setdefault(contender, []).append(trained(config, options.scenes, options.work))
    scenes = [(name, options.scenes / name) for name in training.base["validation"]]
    paths = [str(path) for group in models.values() for path in group]
    rows = evaluate(paths, scenes, SIGMAS, side=SIDE)
    training.page.write_text(page(training, models, rows))
    print(f"{training.page} is written")


if __name__ == "__main__":
    main()
