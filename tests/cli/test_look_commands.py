"""Commands that look at a scene: inspect, diagnose, preview, and restore --dry-run."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoae.system.warnings import SILENCE
from tests.support.rasters import noise, read, write


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


# --- inspect ------------------------------------------------------------------------------------


def test_inspect_says_what_would_be_done_and_writes_nothing(geoae, scene):
    code, out, err = geoae("inspect", "s.tif", "--model", "identity")
    assert (code, err) == (0, [])
    assert out[0].startswith("s.tif: GTiff, 90 rows x 130 columns x 3 bands uint16")
    assert files() == ["s.tif"]


def test_inspect_as_json_is_json_alone(geoae, scene):
    code, out, err = geoae("inspect", "s.tif", "--model", "identity", "--json")
    assert (code, err) == (0, [])
    assert json.loads("\n".join(out))["source"] == "s.tif"


# --- diagnose -----------------------------------------------------------------------------------


def test_diagnose_shows_findings_and_writes_nothing(geoae, scene):
    pixels = read(scene)
    pixels[1, 40] = 0
    write(scene, pixels)
    code, out, err = geoae("diagnose", "s.tif")
    assert (code, err) == (0, [])
    assert out[0] == "s.tif: 90 rows x 130 columns x 3 bands, 100.0 % valid"
    assert any("lost lines" in line and "row" in line for line in out)
    assert out[-1].startswith("looked at in ")
    assert files() == ["s.tif"]


def test_diagnose_as_json_is_json_alone(geoae, scene):
    code, out, err = geoae("diagnose", "s.tif", "--bands", "1-2", "--json", "--html", "d.html")
    assert (code, err) == (0, [])
    found = json.loads("\n".join(out))
    assert (found["source"], found["bands"]) == ("s.tif", [1, 2])
    assert {"kind", "band", "strength", "unit", "action"} <= found["findings"][0].keys()
    assert files() == ["d.html", "s.tif"]


@pytest.mark.parametrize(
    ("words", "name"), [(["--html"], "s_diagnosis.html"), (["--html", "d.html"], "d.html")]
)
def test_diagnose_writes_a_page(geoae, scene, words, name):
    code, out, _ = geoae("diagnose", "s.tif", "--bands", "1", *words)
    assert (code, out[-1]) == (0, f"{name}: the same as a page")
    assert Path(name).read_text().startswith("<!doctype html>")
    assert files() == sorted([name, "s.tif"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone.tif"], "gone.tif: cannot be opened as a raster"),
        (["s.tif", "--bands", "7"], "s.tif: has bands 1 to 3, not 7"),
        (["s.tif", "--nodata", "-1"], "pixels of uint16 cannot be -1"),
    ],
)
@pytest.mark.parametrize("command", ["diagnose", "inspect", "preview"])
def test_bad_words_are_one_line(geoae, scene, command, words, said):
    code, out, err = geoae(command, *words)
    assert (code, out, len(err)) == (1, [], 1)
    assert said in err[0]
    assert files() == ["s.tif"]


def test_a_page_that_cannot_be_written_is_one_line(geoae, scene):
    code, _, err = geoae("diagnose", "s.tif", "--bands", "1", "--html", "nowhere/d.html")
    assert (code, len(err)) == (1, 1)
    assert "nowhere/d.html: cannot be written (No such file or directory); give --html" in err[0]


# --- preview ------------------------------------------------------------------------------------


def test_preview_draws_a_picture_in_the_current_folder(geoae, scene):
    code, out, err = geoae("preview", "s.tif", "--size", "65")
    assert (code, out, err) == (0, ["s_preview.png: bands 1, 2, 3 as red, green and blue"], [])
    with SILENCE, rasterio.open("s_preview.png") as dataset:
        assert (dataset.driver, dataset.shape, dataset.count) == ("PNG", (45, 65), 3)
    assert files() == ["s.tif", "s_preview.png"]


def test_preview_writes_a_visual_cog_that_is_restored_like_any_scene(geoae, scene):
    assert geoae("preview", "s.tif", "--bands", "2", "-o", "v.tif")[1] == ["v.tif: band 2 as grey"]
    assert geoae("restore", "v.tif", "--model", "identity", "--quiet") == (0, [], [])
    with rasterio.open("v.tif") as first, rasterio.open("v_restored.tif") as restored:
        assert np.array_equal(first.read(), restored.read())
        assert restored.tags(ns="GEOAE_VISUAL")["VISUAL"] == "yes"
        assert restored.colorinterp == first.colorinterp


def test_preview_compares(geoae, scene):
    geoae("restore", "s.tif", "--model", "identity", "--quiet")
    words = ("preview", "s.tif", "--compare", "s_restored.tif", "-o", "c.jpg", "--size", "308")
    assert geoae(*words)[0] == 0
    with SILENCE, rasterio.open("c.jpg") as dataset:
        assert dataset.shape == (90, 308)
        difference = dataset.read()[:, :, 212:]
    assert np.abs(difference.astype(int) - 128).max() <= 8


@pytest.mark.parametrize("words", [["-o", "p.png"], ["-o", "p.tif"], ["--compare", "s.tif"]])
def test_preview_says_that_there_is_nothing_to_show(geoae, scene, words):
    write(scene, np.zeros((3, 90, 130), np.uint16), nodata=0)
    code, out, err = geoae("preview", "s.tif", *words)
    path = out[0].partition(":")[0]
    said = f"geoae: warning: {path}: nothing to show, since none of its pixels is valid in s.tif"
    assert (code, len(out), err) == (0, 1, [said])
    assert Path(path).exists()


def test_preview_replaces_nothing_unless_it_is_asked_to(geoae, scene):
    Path("s_preview.png").write_text("mine")
    code, out, err = geoae("preview", "s.tif")
    assert (code, out) == (1, [])
    assert err == ["geoae: s_preview.png: exists; choose another -o, or give --overwrite"]
    assert Path("s_preview.png").read_text() == "mine"
    assert geoae("preview", "s.tif", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bands", "1,2"], "2 bands cannot be shown; give three"),
        (["--size", "9"], "'--size'"),
        (["-o", "p.gif"], "p.gif: is no name of a preview"),
        (["-o", "s.tif", "--overwrite"], "s.tif: is the input itself"),
        (["-o", "v.tif", "--compare", "s.tif"], "for --size and --compare name a picture"),
        (["--compare", "gone.tif"], "gone.tif: cannot be opened as a raster"),
    ],
)
def test_preview_refuses_in_one_line(geoae, scene, words, said):
    before = scene.read_bytes()
    code, out, err = geoae("preview", "s.tif", *words)
    assert (code, out, len(err)) == (1, [], 1)
    assert said in err[0]
    assert files() == ["s.tif"]
    assert scene.read_bytes() == before


# --- restore --dry-run --------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(geoae, scene):
    pixels = read(scene)
    pixels[1, 40] = 0
    write(scene, pixels)
    code, out, err = geoae("restore", "s.tif", "--dry-run")
    assert (code, err) == (0, [])
    assert out[0].startswith("lost 1 row")
    assert any(line.startswith("noise: ") for line in out)
    assert out[-1] == "s_restored.tif: not written, since this is a dry run"
    assert files() == ["s.tif"]


@pytest.mark.parametrize("words", [["--steps", "none"], ["--model", "identity"]])
def test_a_dry_run_of_no_step_does_not_say_that_the_scene_is_clean(geoae, scene, words):
    code, out, _ = geoae("restore", "s.tif", *words, "--dry-run")
    assert (code, out) == (
        0,
        ["no pixel would change", "s_restored.tif: not written, since this is a dry run"],
    )


def test_a_dry_run_says_which_bands_are_copied_and_why(geoae, scene):
    with rasterio.open(scene, "r+") as dataset:
        dataset.descriptions = ("QA_PIXEL", *dataset.descriptions[1:])
    _, out, _ = geoae("restore", "s.tif", "--model", "identity", "--dry-run")
    assert out[0].startswith("band 1 copied untouched: ")


def test_a_dry_run_of_several_scenes_makes_no_folder(geoae, scene):
    write(scene.with_name("t.tif"), read(scene))
    code, out, err = geoae(
        "restore", "s.tif", "t.tif", "-o", "out/", "--model", "identity", "--dry-run"
    )
    assert (code, err) == (0, [])
    assert [line for line in out if "not written" in line] == [
        f"out/{name}_restored.tif: not written, since this is a dry run" for name in "st"
    ]
    assert files() == ["s.tif", "t.tif"]


def test_each_step_that_is_asked_for_and_finds_nothing_is_a_line(geoae, scene):
    code, out, _ = geoae("restore", "s.tif", "--steps", "stripes,lines", "--dry-run")
    assert (code, out[:3]) == (
        0,
        ["lines: none found", "stripes: none found", "no pixel would change"],
    )
    code, out, _ = geoae("restore", "s.tif", "--steps", "stripes")
    assert (code, out[0]) == (0, "stripes: none found")
    assert "no pixel changed" in out[1]


def test_noise_that_is_not_known_has_no_level_in_the_summary(geoae, tmp_path, scene):
    pixels = np.full((1, 90, 130), 7, np.uint16)
    write(scene, pixels)
    code, out, _ = geoae("restore", "s.tif")
    assert code == 0
    assert "no pixel changed" in out[-1]
    assert "->" not in out[-1]
    write(scene, np.concatenate([pixels, (noise((1, 90, 130), 20) + 500).astype(np.uint16)]))
    code, out, _ = geoae("restore", "s.tif", "--overwrite")
    assert code == 0
    assert " in band 2, model" in out[-1]


def test_bands_with_the_same_finding_are_one_row(geoae, tmp_path, scene):
    write(scene, (noise((3, 200, 200), 20) + 500).astype(np.uint16) // 16 * 16)
    code, out, _ = geoae("diagnose", "s.tif")
    rows = [line.split("│")[1:4] for line in out if line.startswith("│ quantisation")]
    assert code == 0
    assert [[cell.strip() for cell in row] for row in rows] == [["quantisation", "1-3", "16 DN"]]
    found = json.loads("\n".join(geoae("diagnose", "s.tif", "--json")[1]))["findings"]
    assert [one["band"] for one in found if one["kind"] == "quantisation"] == [1, 2, 3]


@pytest.mark.parametrize("command", ["diagnose", "inspect", "preview"])
def test_a_folder_is_answered_without_options_of_other_commands(geoae, scene, command):
    code, _, err = geoae(command, ".")
    assert (code, len(err)) == (1, 1)
    assert err[0].endswith("it is a folder; give a raster in it: s.tif")
