import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from geoae.cli.app import cli
from geoae.simulation import DEGRADATIONS
from geoae.verification import run as verification_run
from tests.support.commands import run_python
from tests.support.networks import save_small_network
from tests.support.rasters import noise, read, texture, write

RESTORE_OPTIONS = [
    "-o",
    "--output",
    "--model NAME|PATH",
    "--sigma auto|DN|DN,DN,...",
    "--sharpen MTF|auto",
    "--device auto|cpu|cuda|cuda:N",
    "--precision",
    "auto|fp32|bf16",
    "--recipe NAME|PATH",
    "--tile",
    "--overlap",
    "--batch-size",
    "--bands 1-3,7",
    "--nodata VALUE",
    "--profile",
    "cog|gtiff",
    "--overwrite",
    "--fresh",
    "--strict",
    "--report PATH.json",
    "--quiet",
]


@pytest.fixture
def restore(geoae, scene):
    """``geoae restore s.tif --model identity`` and more words."""
    return lambda *words: geoae("restore", "s.tif", "--model", "identity", *words)


@pytest.fixture
def infrared(tmp_path, scene):
    """``i.tif``, whose fourth band is infrared that GDAL tags as alpha; the lines that say so."""
    pixels = np.clip(texture(4, 90, 130) / 8 + noise((4, 90, 130), 6), 0, 255).astype(np.uint8)
    write(tmp_path / "i.tif", pixels, nodata=0, photometric="RGB", alpha="yes")
    return (
        "i.tif: band 4 is tagged as alpha, but holds a measurement, so it is restored; to copy it,"
        " name the others in --bands"
    )


# --- words --------------------------------------------------------------------------------------


def test_help_lists_every_option():
    shown = CliRunner().invoke(cli, ["restore", "--help"], terminal_width=200)
    assert shown.exit_code == 0
    assert [option for option in RESTORE_OPTIONS if option not in shown.output] == []
    assert "INPUT" in shown.output


@pytest.mark.parametrize("command", ["restore", "inspect", "models", "demo", "verify"])
def test_every_command_has_help(command):
    shown = CliRunner().invoke(cli, [command, "-h"])
    assert shown.exit_code == 0
    assert shown.output.startswith("Usage: ")


def test_version(geoae):
    code, out, _ = geoae("--version")
    assert code == 0
    assert "version" in out[0]


def test_no_words_show_the_help(geoae):
    code, out, err = geoae()
    assert (code, err) == (0, [])
    assert out[0].startswith("Usage: geoae ")
    assert any(line.strip().startswith("restore ") for line in out)


# --- restore ------------------------------------------------------------------------------------


def test_summary_and_default_name(restore, scene):
    code, out, err = restore()
    assert (code, err) == (0, [])
    assert out[-1].startswith("s_restored.tif: 90 rows x 130 columns x 3 bands, 1 tile, ")
    assert out[-1].endswith("no pixel changed, model identity")
    assert (read("s_restored.tif") == read(scene)).all()


def test_output_by_name_and_quiet(restore):
    assert restore("-o", "mine.tif", "--quiet") == (0, [], [])
    assert Path("mine.tif").exists()
    assert not Path("s_restored.tif").exists()


def test_second_run_has_nothing_to_do(restore):
    restore()
    before = Path("s_restored.tif").stat().st_mtime_ns
    code, out, err = restore()
    assert (code, err) == (0, [])
    assert out == [
        "s_restored.tif: already restored with this model and these options; nothing to do"
    ]
    assert Path("s_restored.tif").stat().st_mtime_ns == before


def test_report_is_the_run_as_json(restore):
    restore("--report", "run.json", "--bands", "1,3", "--tile", "64")
    report = json.loads(Path("run.json").read_text())
    assert (report["status"], report["source"], report["target"]) == (
        "restored",
        "s.tif",
        "s_restored.tif",
    )
    assert (report["height"], report["width"], report["bands"]) == (90, 130, [1, 3])
    assert report["copied"] == {"2": "not among --bands"}
    assert report["tiles"] == report["tiles_computed"] > 1
    assert len(report["sigma_before"]) == len(report["sigma_after"]) == 2
    restore("--report", "run.json", "--bands", "1,3", "--tile", "64")
    assert json.loads(Path("run.json").read_text())["status"] == "skipped"


def test_report_goes_to_standard_output_alone(restore):
    code, out, _ = restore("--report", "-")
    assert code == 0
    assert json.loads("\n".join(out))["status"] == "restored"
    assert not Path("-").exists()


def test_options_reach_the_run(restore):
    code, out, _ = restore(
        "--sigma", "12.5", "--profile", "gtiff", "--bands", "2", "--recipe", "landsat-30m"
    )
    assert code == 0
    assert out[:2] == [
        "band 1 copied untouched: not among --bands",
        "band 3 copied untouched: not among --bands",
    ]
    assert "no pixel changed" in out[2]
    with rasterio.open("s_restored.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") != "COG"
        assert dataset.tags(ns="GEOAE")["RECIPE"] == "landsat-30m"
        assert float(dataset.tags(ns="GEOAE")["SIGMA"]) == 12.5


def test_sharpening_is_told_in_lines_and_report(restore, scene):
    code, out, err = restore("--sharpen", "0.2", "--dry-run")
    assert (code, err) == (0, [])
    assert out[0].startswith("sharpening: a modulation transfer of 0.2 at the Nyquist frequency")
    assert out[1].startswith("noise after sharpening: ")
    assert not Path("s_restored.tif").exists()
    code, done, err = restore("--sharpen", "0.2", "--report", "run.json")
    assert (code, done[:2], err) == (0, out[:2], [])
    report = json.loads(Path("run.json").read_text())
    assert (report["mtf"], report["steps"]) == (0.2, out[:2])
    assert (read("s_restored.tif") != read(scene)).mean() > 0.5
    code, out, err = restore("--sharpen", "0", "-o", "other.tif")
    assert (code, out, len(err)) == (1, [], 1)
    assert "sharpen: '0' is no blur that can be undone" in err[0]


def test_a_blur_that_cannot_be_measured_leaves_no_output(restore, scene):
    code, out, err = restore("--sharpen", "auto")
    assert (code, out, len(err)) == (1, [], 1)
    assert "s.tif: has too few clean edges to measure its blur" in err[0]
    assert not Path("s_restored.tif").exists()


def test_ranges_of_bands_and_noise_of_each(geoae, restore):
    assert restore("--bands", "2-3", "--sigma", "3.2,5.1", "--report", "r.json")[0] == 0
    report = json.loads(Path("r.json").read_text())
    assert (report["bands"], report["sigma_before"]) == ([2, 3], [3.2, 5.1])
    found = geoae(
        "inspect", "s.tif", "--model", "identity", "--bands", "3,1", "--sigma", "3.2,5.1", "--json"
    )[1]
    assert [band["sigma"] for band in json.loads("\n".join(found))["bands"]] == [5.1, None, 3.2]
    assert restore("--bands", "3,2", "--sigma", "5.1,3.2")[1][-1].endswith("nothing to do"), (
        "the same order otherwise put"
    )


def test_several_scenes_are_restored_into_a_folder_and_a_bad_one_stops_none(geoae, scene):
    write(scene.with_name("other.tif"), texture(1, 60, 70).astype(np.uint16))
    scene.with_name("bad.tif").write_text("no raster")
    words = ["s.tif", "bad.tif", "other.tif", "--model", "identity", "-o", "out/"]
    code, out, err = geoae("restore", *words)
    assert code == 1
    assert err[0].startswith("geoae: bad.tif: cannot be opened as a raster")
    assert err[1:] == ["geoae: 1 of 3 scenes failed, for the reasons above"]
    assert [line.partition(":")[0] for line in out] == [
        "out/s_restored.tif",
        "out/other_restored.tif",
    ]
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "other_restored.tif",
        "s_restored.tif",
    ]


def test_foreign_output_needs_overwrite(restore, scene):
    Path("s_restored.tif").write_bytes(scene.read_bytes())
    code, _, err = restore()
    assert (code, len(err)) == (1, 1)
    assert "s_restored.tif: exists" in err[0]
    assert "--overwrite" in err[0]
    assert Path("s_restored.tif").read_bytes() == scene.read_bytes()
    assert restore("--overwrite")[0] == 0
    assert Path("s_restored.tif").read_bytes() != scene.read_bytes()


def test_undeclared_fill_is_told_of_by_restore_and_inspect(geoae, restore, scene):
    pixels = read(scene)
    pixels[:, :, :40] = 0
    write(scene, pixels)
    code, _, err = restore()
    assert (code, len(err)) == (0, 1)
    assert err[0].startswith("geoae: warning: s.tif: 0 fills 31% of the scene")
    out = " ".join(" ".join(geoae("inspect", "s.tif", "--model", "identity")[1]).split())
    assert "s.tif: 0 fills 31% of the scene and is restored like a measurement" in out
    code, _, err = restore("--nodata", "0", "--overwrite")
    assert (code, err) == (0, [])
    assert "fills" not in " ".join(
        geoae("inspect", "s.tif", "--model", "identity", "--nodata", "0")[1]
    )


def test_other_options_are_another_result(restore):
    restore()
    assert restore("--sigma", "5")[0] == 1
    assert restore("--sigma", "5", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "s.tif"], ["s.tif: is the input itself", "-o"]),
        (["-o", "s.tif", "--overwrite"], ["s.tif: is the input itself"]),
        (["-o", "nowhere/r.tif"], ["nowhere: no such folder"]),
        (["-o", "/vsimem/r.tif"], ["/vsimem/r.tif: is memory of this process", "-o"]),
        (["-o", "zip://r.zip!r.tif"], ["geoae does not write into zip://", "-o"]),
        (["-o", "r.png"], ["r.png: geoae writes GeoTIFF, not PNG", ".tif"]),
        (["-o", "r.jp2"], ["writes GeoTIFF"]),
        (["--tile", "40", "--overlap", "64"], ["tile of 40 px", "overlap of 64 px", "--tile 128"]),
        (["--overlap", "4"], ["overlap of", "halo of 8 px", "--overlap 24"]),
        (["--bands", "1,7"], ["s.tif: has bands 1 to 3, not 7", "--bands"]),
        (["--bands", "0"], ["bands count from 1"]),
        (["--bands", "1-7"], ["s.tif: has bands 1 to 3, not 4", "--bands"]),
        (["--bands", "1-x"], ["bands: '1-x' is no band", "1-3,7"]),
        (
            ["--nodata", "zero"],
            ["nodata: 'zero' is no nodata value; give a number like 0 or -9999"],
        ),
        (["--nodata", "-1"], ["s.tif: pixels of uint16 cannot be -1; correct --nodata"]),
        (["--sigma", "much"], ["sigma: 'much' is no noise", "auto"]),
        (["--sigma", "1,2"], ["s.tif: sigma has 2 values, but bands 1, 2, 3 are restored"]),
        (["--sigma", "-1"], ["sigma = -1.0"]),
        (["--sigma", "nan"], ["sigma = nan"]),
        (["--sigma", "inf"], ["sigma = inf"]),
        (["--device", "gpu"], ["device = 'gpu': give auto, cpu, cuda or cuda:N"]),
        (["--model", "res-cea"], ["res-cea: no such model", "identity"]),
        (["--recipe", "moon"], ["moon: no such recipe", "sentinel2-10m"]),
        (["--recipe", "wrong.toml"], ["wrong.toml: unknown key tyle; did you mean tile?"]),
        (["--recipe", "broken.toml"], ["broken.toml: not TOML"]),
        (["--recipe", "s.tif"], ["s.tif: not TOML"]),
        (["--report", "nowhere/r.json"], ["nowhere: no such folder", "--report"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("-") else "",
)
def test_errors_are_one_line_with_the_cure(restore, scene, words, said):
    Path("wrong.toml").write_text("tyle = 256\n")
    Path("broken.toml").write_text("tile: 256\n")
    before = scene.read_bytes()
    code, out, err = restore(*words)
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith("geoae: ")
    assert [part for part in said if part not in err[0]] == []
    assert scene.read_bytes() == before


@pytest.mark.parametrize("name", ["missing.tif", "text.tif", "empty.tif", "."])
def test_what_is_no_raster_is_refused(geoae, scene, name):
    Path("text.tif").write_text("not a raster\n")
    Path("empty.tif").touch()
    for command in ("restore", "inspect"):
        code, out, err = geoae(command, name, "--model", "identity")
        assert (code, out, len(err)) == (1, [], 1)
        assert err[0].startswith(f"geoae: {name}: cannot be opened as a raster")


def test_a_truncated_raster_leaves_no_output(restore, scene):
    scene.write_bytes(scene.read_bytes()[: scene.stat().st_size // 2])
    code, _, err = restore()
    assert (code, len(err)) == (1, 1)
    assert "cannot be read" in err[0]
    assert not Path("s_restored.tif").exists()


def test_cuda_that_is_not_there(geoae, scene):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    save_small_network(Path("small"))
    for device in ("cuda", "cuda:1"):
        code, _, err = geoae("restore", "s.tif", "--model", "small", "--device", device)
        assert (code, len(err)) == (1, 1)
        assert device in err[0]
        assert not Path("s_restored.tif").exists()


# --- the other commands -------------------------------------------------------------------------


def test_inspect_shows_bands_and_plan(geoae, scene):
    code, out, err = geoae("inspect", "s.tif", "--model", "identity")
    assert (code, err) == (0, [])
    assert (
        out[0]
        == "s.tif: GTiff, 90 rows x 130 columns x 3 bands uint16, CRS EPSG:32633, 100.0 % valid"
    )
    assert sum("restored" in line for line in out) == 3
    assert out[-1].startswith("plan: 1 tile of ")
    assert ", less than a second with model identity on " in out[-1]
    assert [path.name for path in Path().iterdir()] == ["s.tif"]


def test_inspect_as_json(geoae, scene):
    code, out, _ = geoae("inspect", "s.tif", "--model", "identity", "--bands", "2", "--json")
    found = json.loads("\n".join(out))
    assert code == 0
    assert (found["height"], found["width"], found["count"], found["dtype"]) == (
        90,
        130,
        3,
        "uint16",
    )
    assert [band["treatment"].split(":")[0] for band in found["bands"]] == [
        "copied",
        "restored",
        "copied",
    ]
    assert found["bands"][1]["sigma"] == pytest.approx(20, rel=0.25)
    assert found["plan"]["model"] == "identity"


def test_inspect_knows_an_output_of_ours(geoae, restore):
    restore("--recipe", "landsat-30m", "--sigma", "12.5")
    shown = geoae("inspect", "s_restored.tif", "--model", "identity")[1]
    start = next(
        index for index, line in enumerate(shown) if line.startswith("already restored by geoae ")
    )
    facts = dict(line.strip().split("  ", 1) for line in shown[start + 1 :])
    assert {
        "source",
        "source identity",
        "recipe",
        "model digest",
        "bands",
        "noise, DN",
    } < facts.keys()
    assert facts["recipe"].strip() == "landsat-30m"
    assert facts["noise, DN"].strip() == "12.5, 12.5, 12.5"
    assert facts["source"].strip() == "s.tif"


def test_restoring_an_output_again_is_one_line_on_stderr(geoae, restore):
    restore("-o", "once.tif")
    words = ("restore", "once.tif", "--model", "identity", "-o", "twice.tif", "--report", "r.json")
    code, _, err = geoae(*words)
    assert (code, len(err)) == (0, 1)
    assert err[0].startswith("geoae: warning: once.tif: is already restored by geoae ")
    assert err[0] == f"geoae: warning: {json.loads(Path('r.json').read_text())['warnings'][0]}"
    assert len(geoae(*words, "--quiet")[2]) == 1, "told even where nothing else is"
    shown = "\n".join(geoae("inspect", "twice.tif", "--model", "identity")[1])
    assert (
        shown.index("(step 1 of 2)")
        < shown.index("source           s.tif")
        < shown.index("(step 2 of 2)")
    )


def test_models_are_listed(geoae):
    code, out, _ = geoae("models")
    assert code == 0
    assert any("identity" in line for line in out)


def test_verify_shows_and_writes_figures(geoae, scene):
    code, out, err = geoae("verify", "identity", "--scene", "s.tif", "--report", "v.json")
    assert (code, err) == (0, [])
    assert out[-1].startswith("identity: 12 of 12 checks passed, ")
    assert "s.tif scene of " in out[-1]
    assert sum("passed" in line for line in out[:-1]) == 12
    report = json.loads(Path("v.json").read_text())
    assert (report["passed"], report["checks"]["tiled"]["figure"]) == (True, 0)


def test_verify_fails_where_a_promise_is_broken(geoae, monkeypatch, tmp_path):
    from geoae.verification.checks import Finding

    broken = Finding(measured="pixels that are wrong", figure=3, limit=0, unit="pixels")
    monkeypatch.setattr(verification_run, "CHECKS", {"tiled": lambda bench: broken})
    code, out, err = geoae(
        "verify", "identity", "--into-card", "--report", str(tmp_path / "v.json")
    )
    assert (code, len(err)) == (1, 1)
    assert err[0].startswith(
        "geoae: identity: fails tiled: pixels that are wrong is 3 pixels, 0 at most; "
    )
    assert any("FAILED" in line for line in out)
    assert not json.loads((tmp_path / "v.json").read_text())["passed"], (
        "the figures are written all the same"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["res-cea"], "res-cea: no such model"),
        (["identity", "--scene", "missing.tif"], "missing.tif: cannot be opened"),
        (["identity", "--report", "nowhere/v.json"], "nowhere: no such folder"),
        (["res-cae", "--device", "abacus"], "abacus: no such device"),
    ],
)
def test_verify_errors_are_one_line(geoae, words, said):
    code, out, err = geoae("verify", *words)
    assert (code, out, len(err)) == (1, [], 1)
    assert said in err[0]


def test_a_band_unlike_its_tag_is_told_in_one_line(geoae, infrared):
    code, _, err = geoae("restore", "i.tif", "--model", "identity")
    assert (code, err) == (0, [f"geoae: warning: {infrared}"])
    code, out, err = geoae("inspect", "i.tif", "--model", "identity")
    assert (code, err) == (0, [])
    assert infrared in out
    code, out, err = geoae("inspect", "i.tif", "--model", "identity", "--json")
    assert json.loads("\n".join(out))["notes"] == [infrared]


def test_a_band_copied_for_its_tag_is_told_with_the_cure(geoae, scene, tmp_path):
    pixels = (texture(4, 90, 130) / 8).astype(np.uint8)
    pixels[3] = 255
    write(tmp_path / "a.tif", pixels, nodata=0, photometric="RGB", alpha="yes")
    code, out, err = geoae("restore", "a.tif", "--model", "identity")
    assert (code, err) == (0, [])
    assert out[0] == "band 4 copied untouched: alpha; to restore it, name it in --bands"
    code, out, _ = geoae("inspect", "a.tif", "--model", "identity")
    assert "band 4 will be copied: alpha; to restore it, name it in --bands" in out
    code, out, _ = geoae("restore", "a.tif", "--model", "identity", "--bands", "1", "-o", "b.tif")
    assert "band 2 copied untouched: not among --bands" in out


def test_bands_without_a_valid_pixel_are_told_without_a_cure(geoae, scene):
    write(scene, np.zeros((2, 90, 130), np.uint16), nodata=0)
    code, out, err = geoae("restore", scene.name, "--model", "identity", "-o", "o.tif")
    told = [f"band {band} copied untouched: no valid pixel" for band in (1, 2)]
    assert (code, out) == (0, [*told, "o.tif: copied, since there is no band to restore"])
    (line,) = err
    assert line.endswith("no valid pixel in bands 1-2; copied unchanged")


def test_nothing_but_geoae_speaks(tmp_path, scene, infrared):
    """Warnings of rasterio, of GDAL's threads and of PROJ are no lines of the command."""
    with rasterio.open(tmp_path / "i.tif", "r+") as dataset:
        dataset.crs = "+proj=utm +zone=33 +units=km"
    done = run_python(
        "-W",
        "always",
        "-m",
        "geoae",
        "restore",
        "i.tif",
        "--model",
        "identity",
        "--quiet",
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "geoae/" not in line] == [
        f"geoae: warning: {infrared}"
    ]


def test_help_of_degrade_lists_every_kind_of_damage():
    shown = CliRunner().invoke(cli, ["degrade", "--help"], terminal_width=100).output
    listed = shown.partition("Kinds in CONFIG.toml:")[2].splitlines()
    kinds = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "]
    assert kinds == list(DEGRADATIONS)
