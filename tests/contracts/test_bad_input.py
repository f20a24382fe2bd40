"""Whatever is wrong with what a command is given: one line that says what and what to do, and
nothing lost.
"""

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from geoae import resources
from geoae.cli.app import cli
from geoae.errors import GeoaeError
from geoae.models.card import CARD, WEIGHTS
from geoae.resources import shipped
from tests.support.commands import Forks, forks
from tests.support.rasters import noise, texture, write

MODEL = shipped("models") / "res-cae"
STEP = '[[degradations]]\nkind = "gaussian"\nsigma = {}\n'
TRAIN = (
    'name = "m"\narchitecture = "res_cae"\ncycles = [1]\nvalidation = ["s.tif"]\n[[groups]]\nfiles'
    ' = ["*.tif"]\n'
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with forks(
        tmp_path_factory.mktemp("logs"),
        "geoae.models.folder",
        "geoae.training.fit",
        "geoae.evaluation.run",
    ) as run:
        yield run


def model(
    folder: Path,
    name: str,
    weights: bytes | None = None,
    card: str | None = None,
    **changes: object,
) -> None:
    """A copy of a shipped model with something wrong; its digest is that of ``weights``."""
    shutil.copytree(MODEL, folder / name)
    facts = json.loads((MODEL / CARD).read_text())
    if weights is not None:
        (folder / name / WEIGHTS).write_bytes(weights)
        facts["digest"] = hashlib.sha256(weights).hexdigest()
    (folder / name / CARD).write_text(card if card is not None else json.dumps(facts | changes))


class Trap:
    """A pickle that leaves a file behind when it is loaded."""

    def __reduce__(self):
        return os.mknod, ("sprung",)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a scene, a restored one, configs and models of which each has one thing
    wrong.
    """
    folder = tmp_path_factory.mktemp("place")
    pixels = (texture(3, 90, 130) + noise((3, 90, 130), 20)).astype(np.uint16)
    write(folder / "s.tif", pixels)
    write(folder / "other.tif", pixels)
    (folder / "link.tif").symlink_to("s.tif")
    (folder / "void.tif").touch()
    (folder / "hard.tif").hardlink_to(folder / "s.tif")
    vrt = (
        '<VRTDataset rasterXSize="130" rasterYSize="90"><VRTRasterBand dataType="UInt16" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">other.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    (folder / "m.vrt").write_text(vrt)
    (folder / "empty").mkdir()
    for name, text in {
        "unknown": "tyle = 256",
        "type": "tile = 'big'",
        "negative": "tile = -256",
        "overlap": "tile = 128\noverlap = 100",
        "half": "tile = 1.5",
        "bands": "bands = [9]",
        "zero": "bands = [0]",
        "list": "bands = 1.5",
        "broken": "tile: 256",
        "ramp": "ramp = 'cubic'",
        "nan": "sigma = nan",
        "model": "model = 'res-cea'",
    }.items():
        (folder / f"{name}.toml").write_text(text)
    for name, text in {
        "good": STEP.format(5),
        "key": STEP.format(5) + "sigmaa = 1",
        "kind": STEP.format(5).replace("gaussian", "gausian"),
        "negative": STEP.format(-5),
        "type": STEP.format("'much'"),
        "bands": STEP.format([1, 2]),
        "top": "sed = 1\n" + STEP.format(5),
        "none": "seed = 1",
        "seed": "seed = -1\n" + STEP.format(5),
    }.items():
        (folder / f"degrade-{name}.toml").write_text(text)
    for name, text in {
        "good": TRAIN,
        "key": "chipp = 3\n" + TRAIN,
        "nested": TRAIN + "wieght = 2\n",
        "type": "chip = 'big'\n" + TRAIN,
        "negative": "chip = -3\n" + TRAIN,
        "architecture": TRAIN.replace("res_cae", "res_cea"),
        "missing": TRAIN.replace('name = "m"', ""),
        "loss": "loss = 'l3'\n" + TRAIN,
        "network": "network = {width = 3}\n" + TRAIN,
        "start": "start = 'res-cea'\n" + TRAIN,
    }.items():
        (folder / f"train-{name}.toml").write_text(text)
    whole = (MODEL / WEIGHTS).read_bytes()
    model(folder, "weightless")
    (folder / "weightless" / WEIGHTS).unlink()
    model(folder, "cardless")
    (folder / "cardless" / CARD).unlink()
    model(folder, "changed")
    (folder / "changed" / WEIGHTS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    model(folder, "pickle", pickle.dumps({"weight": Trap()}))
    model(folder, "short", whole[:-100])
    model(folder, "misfit", network={"channels": 2})
    model(folder, "argument", network={"chanels": 1})
    model(folder, "stranger", architecture="transformer")
    model(folder, "key", helo=3)
    model(folder, "type", halo="wide")
    model(folder, "prose", card="a fine model")
    return folder


R, LOOK = ("restore", "s.tif"), ("inspect", "s.tif")
IDENTITY = ("--model", "identity")
D, T, E = ("degrade", "s.tif"), ("train",), ("evaluate", "--scenes")

# What is given, and what of the one line matters.
CASES: list[tuple[tuple[str, ...], list[str]]] = [
    ((*R, "--recipe", "unknown.toml"), ["unknown.toml: unknown key tyle; did you mean tile?"]),
    ((*R, "--recipe", "type.toml"), ["type.toml: tile = 'big'"]),
    ((*R, "--recipe", "negative.toml"), ["negative.toml: tile = -256"]),
    (
        (*R, *IDENTITY, "--recipe", "overlap.toml"),
        ["tile of 128 px", "overlap of 104 px", "--tile 208"],
    ),
    ((*R, "--recipe", "half.toml"), ["tile = 1.5"]),
    ((*R, *IDENTITY, "--recipe", "bands.toml"), ["has bands 1 to 3, not 9"]),
    ((*R, "--recipe", "zero.toml"), ["bands count from 1"]),
    ((*R, "--recipe", "list.toml"), ["bands = 1.5"]),
    ((*R, "--recipe", "broken.toml"), ["not TOML"]),
    ((*R, "--recipe", "ramp.toml"), ["ramp = 'cubic'"]),
    ((*R, "--recipe", "nan.toml"), ["sigma = nan"]),
    ((*R, "--recipe", "model.toml"), ["res-cea: no such model"]),
    ((*R, "--recipe", "gone.toml"), ["gone.toml: no such recipe", "sentinel2-10m"]),
    ((*R, "--recipe", "."), [".", "cannot be read"]),
    ((*LOOK, "--recipe", "unknown.toml"), ["did you mean tile?"]),
    ((*LOOK, *IDENTITY, "--bands", "1,9"), ["has bands 1 to 3, not 9"]),
    ((*LOOK, *IDENTITY, "--tile", "40", "--overlap", "64"), ["tile of 40 px"]),
    (("inspect", "gone.tif", *IDENTITY), ["gone.tif: cannot be opened"]),
    (
        ("inspect", "empty", *IDENTITY),
        ["empty: cannot be opened as a raster: it is a folder without any raster"],
    ),
    (
        ("inspect", "void.tif", *IDENTITY),
        ["void.tif: cannot be opened as a raster: the file is empty; get it again"],
    ),
    ((*LOOK, *IDENTITY, "--bands", "0"), ["bands count from 1"]),
    ((*LOOK, *IDENTITY, "--sigma", "1e99"), ["sigma = 1e+99"]),
    ((*LOOK, *IDENTITY, "--sigma", "1e6"), ["sigma = 1e+06 DN: the scene varies by "]),
    ((*R, "--model", "gone"), ["gone: no such model", "res-cae"]),
    ((*R, "--model", "empty"), ["empty: has no card.json"]),
    ((*R, "--model", "s.tif"), ["s.tif: no such model"]),
    ((*R, "--model", "weightless"), ["weightless: has a card but no weights.safetensors"]),
    ((*R, "--model", "cardless"), ["cardless: has no card.json"]),
    (
        (*R, "--model", "changed"),
        ["changed/weights.safetensors: is not the file its card describes (sha256 differs)"],
    ),
    ((*R, "--model", "pickle"), ["pickle/weights.safetensors: does not fit"]),
    ((*R, "--model", "short"), ["short/weights.safetensors: does not fit"]),
    ((*R, "--model", "misfit"), ["misfit/weights.safetensors: does not fit"]),
    ((*R, "--model", "argument"), ["argument/weights.safetensors: does not fit", "chanels"]),
    ((*R, "--model", "stranger"), ["unknown architecture transformer", "res_cae"]),
    ((*R, "--model", "key"), ["key/card.json: unknown key helo; did you mean halo?"]),
    ((*R, "--model", "type"), ["type/card.json: halo = 'wide'"]),
    ((*R, "--model", "prose"), ["prose/card.json: not JSON"]),
    *[
        ((*R, *IDENTITY, "-o", name, *more), [f"{name}: is the input itself", "-o"])
        for name in ("s.tif", "./s.tif", "link.tif", "hard.tif", "empty/../s.tif")
        for more in ((), ("--overwrite",))
    ],
    (
        ("restore", "link.tif", *IDENTITY, "-o", "s.tif", "--overwrite"),
        ["s.tif: is the input itself"],
    ),
    (
        ("restore", "m.vrt", *IDENTITY, "-o", "other.tif", "--overwrite"),
        ["other.tif: is the input itself"],
    ),
    ((*R, *IDENTITY, "-o", "other.tif"), ["other.tif: exists and is not this result"]),
    ((*R, *IDENTITY, "-o", "/proc/o.tif"), ["/proc: cannot be written to"]),
    ((*R, *IDENTITY, "-o", "other.tif/o.tif"), ["other.tif: no such folder"]),
    ((*R, *IDENTITY, "-o", "gone/o.tif"), ["gone: no such folder"]),
    (("restore", "s.tif", "s.tif", *IDENTITY), ["s.tif and s.tif: would both be written to"]),
    ((*R, "void.tif", *IDENTITY, "-o", "n.tif"), ["n.tif: is one file for 2 scenes"]),
    ((*R, "void.tif", *IDENTITY, "--report", "r.json"), ["r.json: is one report for 2 scenes"]),
    ((*R, *IDENTITY, "-o", "n" * 300 + ".tif"), ["n.tif: cannot be written (File name too long)"]),
    ((*R, *IDENTITY, "-o", "/dev/null", "--overwrite"), ["/dev/null: is a pipe or a device"]),
    ((*R, *IDENTITY, "-o", os.fsdecode(b"caf\xe9.tif")), ["not UTF-8"]),
    ((*R, *IDENTITY, "--report", "s.tif"), ["s.tif: is a scene itself"]),
    ((*R, *IDENTITY, "--report", "hard.tif"), ["hard.tif: is a scene itself"]),
    ((*R, *IDENTITY, "-o", "n.tif", "--report", "n.tif"), ["n.tif: is a scene itself"]),
    ((*R, *IDENTITY, "--device", "tpu"), ["device = 'tpu'"]),
    ((*D, "degrade-key.toml", "-o", "n.tif"), ["gaussian has no sigmaa; did you mean sigma?"]),
    ((*D, "degrade-kind.toml", "-o", "n.tif"), ["no degradation gausian; did you mean gaussian?"]),
    ((*D, "degrade-negative.toml", "-o", "n.tif"), ["sigma = -5", "cannot be negative"]),
    ((*D, "degrade-type.toml", "-o", "n.tif"), ["much"]),
    ((*D, "degrade-bands.toml", "-o", "n.tif"), ["2 values for 3 bands"]),
    ((*D, "degrade-top.toml", "-o", "n.tif"), ["unknown key sed; did you mean seed?"]),
    ((*D, "degrade-none.toml", "-o", "n.tif"), ["degradations: is missing"]),
    ((*D, "degrade-seed.toml", "-o", "n.tif"), ["seed = -1"]),
    ((*D, "gone.toml", "-o", "n.tif"), ["gone.toml: cannot be read"]),
    ((*D, "degrade-good.toml", "-o", "hard.tif", "--overwrite"), ["hard.tif: is the input itself"]),
    ((*D, "degrade-good.toml", "-o", "other.tif"), ["other.tif: exists"]),
    ((*D, "degrade-good.toml", "-o", "other.tif/n.tif"), ["other.tif: no such folder"]),
    ((*D, "degrade-good.toml", "-o", "/proc/n.tif"), ["cannot be written"]),
    (("degrade", "gone.tif", "degrade-good.toml", "-o", "n.tif"), ["gone.tif: cannot be opened"]),
    ((*T, "train-key.toml", "--scenes", "."), ["unknown key chipp; did you mean chip?"]),
    (
        (*T, "train-nested.toml", "--scenes", "."),
        ["unknown key groups.0.wieght; did you mean weight?"],
    ),
    ((*T, "train-type.toml", "--scenes", "."), ["chip = 'big'"]),
    ((*T, "train-negative.toml", "--scenes", "."), ["chip = -3"]),
    ((*T, "train-architecture.toml", "--scenes", "."), ["architecture: not among", "res_cae"]),
    ((*T, "train-loss.toml", "--scenes", "."), ["loss: not among"]),
    ((*T, "train-missing.toml", "--scenes", "."), ["name: is missing"]),
    ((*T, "gone.toml", "--scenes", "."), ["gone.toml: cannot be read"]),
    (
        (*T, "train-good.toml", "--scenes", "gone", "-o", "empty", "--work", "/tmp/geoae-none/w"),
        ["gone: no such folder"],
    ),
    (
        (*T, "train-good.toml", "--scenes", ".", "-o", "s.tif"),
        ["s.tif: cannot be a model's folder"],
    ),
    ((*T, "train-good.toml", "--scenes", ".", "-o", "empty", "--work", "s.tif"), ["s.tif"]),
    ((*E, "gone"), ["gone: does not exist"]),
    ((*E, "empty"), ["empty: holds no raster"]),
    ((*E, "s.tif", "--sigmas", "much"), ["--sigmas much"]),
    ((*E, "s.tif", "--sigmas", "-5"), ["--sigmas -5"]),
    ((*E, "s.tif", "--models", "gone"), ["gone: no such model"]),
    ((*E, "s.tif", "--peers", "magic"), ["--peers magic: known are"]),
    ((*E, "s.tif", "--kept-out-by", "gone.toml"), ["gone.toml: cannot be read"]),
    ((*E, "s.tif", "--models", "identity", "-o", "other.tif"), ["other.tif: cannot be written"]),
    (
        (*R, "--report", "empty"),
        ["restore: invalid value for '--report'", "see geoae restore --help"],
    ),
    (("inspect", "s.tif", "--overwrite"), ["no such option '--overwrite'"]),
    (("degrade", "s.tif"), ["degrade: missing argument 'CONFIG.toml'"]),
    ((*D, "degrade-good.toml"), ["degrade: missing option '-o' / '--output'"]),
    ((*T, "train-good.toml"), ["train: missing option '--scenes'"]),
    ((*T, "train-good.toml", "--scene", "."), ["did you mean --scenes?"]),
    (("evaluate",), ["evaluate: missing option '--scenes'"]),
    ((*E, "s.tif", "--crop", "3"), ["3 is not in the range x>=16"]),
    (("verify",), ["verify: missing argument 'MODEL'"]),
    (("models", "x"), ["models: got unexpected extra argument (x)"]),
    (("demo", "x"), ["demo: got unexpected extra argument (x)"]),
    (("demo", "--out", "s.tif"), ["'s.tif' is a file"]),
    (("deploy", "--limit", "0"), ["0 is not in the range"]),
    (("deploy", "--api", "rubbish"), ["rubbish: is no address of a server"]),
    (("verify", "identity", "--device", "tpu"), ["device = 'tpu'"]),
    (("polish",), ["no such command 'polish'; see geoae --help"]),
    (("demo", "--scene", "gone.tif", "--out", "/tmp/geoae-none/d"), ["gone.tif: cannot be opened"]),
    (("demo", "--scene", "s.tif", "--out", "/proc/d"), ["/proc/d: cannot be written"]),
]


def state(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        )
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("words", "said"),
    CASES,
    ids=[" ".join(words).encode(errors="replace").decode() for words, _ in CASES],
)
def test_one_line_says_what_is_wrong_and_nothing_is_lost(words, said, run: Forks, place):
    before = state(place)
    ended = run(*words, cwd=place)
    assert (ended.code, ended.out, len(ended.err)) == (1, [], 1), ended.err
    assert ended.err[0].startswith("geoae: ")
    assert [part for part in said if part not in ended.err[0]] == [], ended.err[0]
    assert state(place) == before


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("train", "train-good.toml", "--scenes", "."), "train"),
        (("demo", "--out", "show"), "demo"),
        (("evaluate", "--scenes", "s.tif", "-o", "figures"), "demo"),
    ],
)
def test_an_extra_that_is_not_installed_is_named(words, extra, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(resources, "find_spec", lambda name: None)
    before = state(place)
    ended = CliRunner().invoke(cli, words)
    assert isinstance(ended.exception, GeoaeError)
    assert f"pip install 'geoae[{extra}]'" in str(ended.exception)
    assert state(place) == before
