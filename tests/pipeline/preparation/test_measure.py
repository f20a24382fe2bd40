"""Scenes in files of which some bands, or most pixels, are not valid."""

from types import SimpleNamespace

import dask.array
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.windows import Window

import geoae
from geoae.accessor.measure import LazySource
from geoae.archive.triage import is_done
from geoae.errors import InputError, RecipeError
from geoae.pipeline.inspection import inspect
from geoae.pipeline.job import Job, resolve_options
from geoae.pipeline.preparation import measure as measuring
from geoae.pipeline.preparation.measure import GivenNoise, measure
from geoae.pipeline.preparation.prepare import prepare
from geoae.raster.scene import Reader, Scene
from geoae.tiling.window import windows
from tests.support.rasters import UTM, noise, read, texture, write

SIGMA = 20.0


def noisy(bands: int, height: int = 120, width: int = 120) -> np.ndarray:
    shape = (bands, height, width)
    return (texture(*shape) + noise(shape, SIGMA)).astype(np.float32)


def sparse(path, areas, *, side=5490, dtype="uint16"):
    """A large raster of zeros, which are nodata, but for ``areas`` (row, column, height, width)."""
    settings = {"tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True}
    profile = {**UTM, "count": 1, "height": side, "width": side, "dtype": dtype, "nodata": 0}
    with rasterio.open(
        path, "w", driver="GTiff", compress="deflate", **profile, **settings
    ) as file:
        for row, col, height, width in areas:
            file.write(
                noisy(1, height, width).astype(dtype), window=Window(col, row, width, height)
            )
    return path


@pytest.mark.parametrize(
    "areas",
    [[(0, 500, 5490, 12)], [(1234, 0, 9, 5490)], [(3000, 4021, 48, 48)], [(5440, 5440, 50, 50)]],
    ids=["column", "row", "island", "corner"],
)
@pytest.mark.parametrize("by", ["file", "vrt"])
def test_noise_of_strips_and_islands_is_found(tmp_path, areas, by):
    path = sparse(tmp_path / "in.tif", areas)
    if by == "vrt":
        rasterio.shutil.copy(path, tmp_path / "in.vrt", driver="VRT")
        path = tmp_path / "in.vrt"
    found = measure(Scene.open(str(path)), GivenNoise(), is_noise_needed=True)
    assert found.facts.sigma == pytest.approx([SIGMA], rel=0.15)
    assert (found.unchanged, found.unknown, found.empty) == ((), "", ())


@pytest.mark.parametrize("kind", ["nodata", "NaN", "--nodata"])
def test_an_empty_band_is_copied_and_named(tmp_path, kind):
    pixels = noisy(4)
    value = np.nan if kind == "NaN" else -9999.0
    pixels[2] = value
    source = write(tmp_path / "in.tif", pixels, **({"nodata": value} if kind == "nodata" else {}))
    given = {"nodata": -9999} if kind == "--nodata" else {}
    line = f"{source}: no valid pixel in band 3; copied unchanged"
    with pytest.warns(UserWarning, match=rf"^{line}$"):
        report = geoae.restore(source, tmp_path / "out.tif", **given)
    assert line in report.warnings
    assert (report.bands, report.copied) == ([1, 2, 4], {3: "no valid pixel"})
    assert report.sigma_before == pytest.approx([SIGMA] * 3, rel=0.15)
    before, after = pixels, read(tmp_path / "out.tif")
    np.testing.assert_array_equal(before[2], after[2])
    assert (after != before)[[0, 1, 3]].mean() > 0.9
    found = inspect(Job(source=str(source), **given))
    assert line in found.notes
    assert found.bands[2].treatment == "copied: no valid pixel"


def test_a_scene_without_a_valid_pixel_is_copied_and_said_to_be(tmp_path):
    pixels = np.zeros((2, 60, 60), np.uint16)
    source = write(tmp_path / "in.tif", pixels, nodata=0)
    with pytest.warns(UserWarning, match=r"in\.tif: no valid pixel in bands 1-2; copied unchanged"):
        report = geoae.restore(source, tmp_path / "out.tif")
    assert report.copied == {1: "no valid pixel", 2: "no valid pixel"}
    assert not read(tmp_path / "out.tif").any()


def test_masks_that_do_not_overlap_leave_each_band_its_noise(tmp_path):
    pixels = noisy(3)
    pixels[0, :, 60:] = pixels[1, :, :60] = pixels[2, 40:] = 0
    source = write(tmp_path / "in.tif", pixels, nodata=0)
    report = geoae.restore(source, tmp_path / "out.tif")
    assert report.sigma_before == pytest.approx([SIGMA] * 3, rel=0.15)
    assert ((read(tmp_path / "out.tif") != pixels)[pixels != 0]).mean() > 0.99
    assert not report.warnings


def test_noise_given_for_each_band_passes_over_an_empty_one(tmp_path):
    pixels = noisy(3)
    pixels[1] = 0
    source = write(tmp_path / "in.tif", pixels, nodata=0)
    found = prepare(Job(source=str(source), model="identity", sigma=[3, 4, 5]))
    assert found.facts.sigma.tolist() == [3, 5]
    with pytest.raises(RecipeError, match="sigma has 2 values, but bands 1, 2, 3 are restored"):
        prepare(Job(source=str(source), model="identity", sigma=[3, 5]))


def test_an_output_with_an_empty_band_is_known_by_its_order(tmp_path):
    """Archives ask by header alone, before they know that a band is empty."""
    pixels = noisy(3)
    pixels[1] = 0
    source = write(tmp_path / "in.tif", pixels, nodata=0)
    job = Job(source=str(source), target=str(tmp_path / "out.tif"), model="identity")
    found = prepare(job)
    with pytest.warns(UserWarning, match="no valid pixel in band 2"):
        geoae.restore(source, job.target, model="identity")
    assert is_done(job, resolve_options(job), found.work.restorer)


def test_too_few_valid_pixels_are_an_error_that_names_sigma(tmp_path):
    pixels = noisy(2, 60, 60)
    pixels[:, 18:] = pixels[:, :, 18:] = 0
    source = write(tmp_path / "in.tif", pixels, nodata=0)
    line = "too few valid pixels lie side by side to estimate the noise; give --sigma"
    with pytest.raises(InputError, match=rf"^{source}: {line}"):
        geoae.restore(source, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()
    assert any(line in note for note in inspect(Job(source=str(source))).notes)
    report = geoae.restore(source, tmp_path / "out.tif", sigma=SIGMA)
    assert report.warnings == []
    geoae.restore(source, tmp_path / "same.tif", model="identity")
    np.testing.assert_array_equal(read(source), read(tmp_path / "same.tif"))


def test_a_scene_that_is_only_small_is_returned_and_named(tmp_path):
    source = write(tmp_path / "in.tif", noisy(1, 18, 18))
    with pytest.warns(UserWarning, match="too few valid pixels lie side by side"):
        geoae.restore(source, tmp_path / "out.tif")
    np.testing.assert_array_equal(read(source), read(tmp_path / "out.tif"))


def test_a_band_whose_noise_is_not_known_stays_bit_for_bit_and_is_named(tmp_path):
    pixels = noisy(3)
    pixels[1, 14:] = pixels[1, :, 14:] = 0
    pixels[2] = 7
    source = write(tmp_path / "in.tif", pixels, nodata=0)
    with pytest.warns(UserWarning, match="unchanged unless --sigma is given"):
        report = geoae.restore(source, tmp_path / "out.tif")
    assert report.sigma_before == pytest.approx([SIGMA, 0, 0], rel=0.15)
    restored = read(tmp_path / "out.tif")
    np.testing.assert_array_equal(restored[1:], pixels[1:])
    assert (restored[0] != pixels[0]).mean() > 0.9
    told = "; unchanged unless --sigma is given"
    assert [line.removeprefix(f"{source}: ") for line in report.warnings] == [
        f"too few valid pixels lie side by side to estimate the noise in band 2{told}",
        f"no noise can be seen in band 3{told}",
    ]


def test_a_scene_without_noise_is_returned_and_said_to_have_none(tmp_path):
    source = write(tmp_path / "in.tif", np.full((2, 60, 60), 7, np.uint16))
    with pytest.warns(UserWarning, match="no noise can be seen in bands 1-2; unchanged unless"):
        geoae.restore(source, tmp_path / "out.tif")
    assert (read(tmp_path / "out.tif") == 7).all()


@pytest.mark.parametrize("kind", ["alpha", "mask band"])
def test_masks_that_bands_share_are_looked_through_too(tmp_path, kind):
    """Only an island of a scene is visible, between the windows that are looked at first."""
    side, place = 2000, (Window(1003, 421, 50, 50), np.s_[:, 421:471, 1003:1053])
    pixels = np.zeros((3, side, side), np.uint8)
    pixels[place[1]] = np.clip(100 + noise((3, 50, 50), 8), 1, 255)
    mask = np.zeros((side, side), np.uint8)
    mask[place[1][1:]] = 255
    if kind == "alpha":
        pixels = np.concatenate([pixels, mask[None]])
        source = write(tmp_path / "in.tif", pixels, photometric="RGB", alpha="YES", compress="lzw")
    else:
        source = write(tmp_path / "in.tif", pixels, photometric="RGB", compress="lzw")
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(source, "r+") as dataset:
            dataset.write_mask(mask)
    found = measure(Scene.open(str(source)), GivenNoise(), is_noise_needed=True)
    assert found.facts.sigma == pytest.approx([8, 8, 8], rel=0.15)


@pytest.mark.parametrize(
    ("bands", "side", "releases"), [(1, 768, 0), (1, 769, 1), (37, 768, 0), (38, 768, 1)]
)
def test_memory_of_a_small_scene_stays_for_the_next_stage(bands, side, releases, monkeypatch):
    released = []
    monkeypatch.setattr(measuring, "release_memory", lambda: released.append(side))
    measuring.release_leftovers(
        SimpleNamespace(bands=range(bands), height=768, width=side, dtype="uint16")
    )
    assert len(released) == releases


def test_known_windows_of_an_array_are_not_computed_again():
    def refuse(block):
        raise AssertionError("computed again")

    pixels = texture(2, 300, 300).astype(np.uint16)
    known = {w: pixels[(slice(None), *w.slices())] for w in windows(300, 300)}
    lazy = dask.array.from_array(pixels, chunks=(2, 100, 100)).map_blocks(refuse, meta=pixels[:0])
    scene, samples = measuring.draw(LazySource(lazy, None, "scene", [1, 2]).know(known))
    assert scene.bands == (1, 2)
    assert len(samples) == len(known) > 1


def test_a_scene_in_which_only_noise_is_sought_is_not_read_whole(tmp_path, monkeypatch):
    source = write(tmp_path / "in.tif", texture(1, 800, 800).astype(np.uint16), tiled=True)
    asked = []
    read = Reader.read

    def told(self, window):
        asked.append(window)
        return read(self, window)

    monkeypatch.setattr(Reader, "read", told)
    measure(Scene.open(str(source)), GivenNoise([5.0]), {"noise"}, is_noise_needed=True)
    assert max(window.height * window.width for window in asked) < 800 * 800
