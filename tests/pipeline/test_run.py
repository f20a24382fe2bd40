import errno
import fcntl
import json
import mmap
import os
import shutil
import signal
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import Affine

import geoae
from geoae.archive.triage import is_done
from geoae.errors import InputError, OutputError
from geoae.models.restorer import Identity, OnHost
from geoae.pipeline.job import Job, resolve_options
from geoae.pipeline.preparation import prepare as pipeline_prepare
from geoae.pipeline.preparation.prepare import prepare
from geoae.pipeline.run import Progress, run
from geoae.raster.tags import read_history
from tests.support.doubles import DTYPES
from tests.support.faults import CONTEXT, die
from tests.support.rasters import SHARED, masks, noise, read, texture, write
from tests.system.test_locks import keep_open_files, lock_nothing


def identity(source: Path, target: Path, **options: object) -> geoae.pipeline.report.RestoreReport:
    return geoae.restore(source, target, model="identity", **options)


def any_pixels(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Any value the type can hold, its extremes included."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        pixels = rng.normal(0, 10.0 ** rng.integers(-3, 6), shape).astype(kind)
        # GDAL itself forgets the sign of -0.0 in a block of nothing but zeros.
        pixels.flat[: min(3, pixels.size)] = [1e30, -0.0, 0.0][: min(3, pixels.size)]
        return pixels
    limits = np.iinfo(kind)
    pixels = rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
    pixels.flat[: min(2, pixels.size)] = [limits.min, limits.max][: min(2, pixels.size)]
    return pixels


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    dtype=st.sampled_from(DTYPES),
    bands=st.integers(1, 5),
    height=st.integers(1, 129),
    width=st.integers(1, 129),
    profile=st.sampled_from(["cog", "gtiff"]),
    seed=st.integers(0, 99),
)
def test_identity_is_bit_for_bit(tmp_path, dtype, bands, height, width, profile, seed):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    pixels = any_pixels(dtype, (bands, height, width), seed)
    write(source, pixels)
    identity(source, target, profile=profile, tile=64, overwrite=True)
    assert read(target).tobytes() == pixels.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_identity_keeps_holes(tmp_path, dtype):
    pixels = any_pixels(dtype, (2, 150, 170), 3)
    nodata = float("nan") if dtype.startswith("float") else int(pixels[0, 5, 5])
    pixels[:, 40:90, 30:100] = nodata
    source = write(tmp_path / "in.tif", pixels, nodata=nodata)
    identity(source, tmp_path / "out.tif", tile=64)
    assert read(tmp_path / "out.tif").tobytes() == pixels.tobytes()
    assert np.array_equal(masks(tmp_path / "out.tif"), masks(source))


def dress(dataset: rasterio.io.DatasetWriter) -> None:
    dataset.descriptions = ("Blue", "Green")
    dataset.scales, dataset.offsets, dataset.units = (
        (1e-4, 2e-4),
        (-0.1, 0.0),
        ("reflectance", "reflectance"),
    )
    dataset.update_tags(ACQUIRED="2026-05-01", AREA_OR_POINT="Point")
    dataset.update_tags(ns="MISSION", ORBIT="42")
    dataset.update_tags(1, WAVELENGTH="490")


GCPS = [
    GroundControlPoint(r, c, x=14 + c / 1e3, y=50 - r / 1e3, z=0.0)
    for r, c in [(0, 0), (0, 79), (69, 0), (69, 79)]
]
RPCS = RPC(
    height_off=100,
    height_scale=50,
    lat_off=50,
    lat_scale=1,
    line_den_coeff=[1.0] + [0.0] * 19,
    line_num_coeff=[0.0, 1.0] + [0.0] * 18,
    line_off=35,
    line_scale=35,
    long_off=14,
    long_scale=1,
    samp_den_coeff=[1.0] + [0.0] * 19,
    samp_num_coeff=[0.0, 0.0, 1.0] + [0.0] * 17,
    samp_off=40,
    samp_scale=40,
)
GEOREFERENCES = {
    "rotated": {"transform": Affine(8, 6, 399960, 6, -8, 4200000)},
    "south-up": {"transform": Affine(10, 0, 399960, 0, 10, 4100000)},
    "gcps": {"transform": None, "crs": "EPSG:4326", "gcps": GCPS},
    "rpcs": {"transform": None, "crs": None, "rpcs": RPCS},
    "none": {"transform": None, "crs": None},
}


@pytest.mark.parametrize("profile", ["cog", "gtiff"])
@pytest.mark.parametrize("georeference", GEOREFERENCES)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_nothing_but_pixels_may_change(tmp_path, georeference, profile):
    settings = GEOREFERENCES[georeference]
    source = write(tmp_path / "in.tif", any_pixels("uint16", (2, 70, 80), 4), **settings)
    with rasterio.open(source, "r+") as dataset:
        dress(dataset)
    identity(source, tmp_path / "out.tif", profile=profile)
    with rasterio.open(source) as before, rasterio.open(tmp_path / "out.tif") as after:
        for fact in (
            "crs",
            "transform",
            "nodatavals",
            "dtypes",
            "descriptions",
            "scales",
            "offsets",
            "units",
            "colorinterp",
            "rpcs",
        ):
            assert getattr(after, fact) == getattr(before, fact), fact
        assert [point.asdict() | {"id": ""} for point in after.gcps[0]] == [
            point.asdict() | {"id": ""} for point in before.gcps[0]
        ]
        assert after.tags() | before.tags() == after.tags()
        assert after.tags(ns="MISSION") == before.tags(ns="MISSION")
        assert after.tags(1) == before.tags(1)


def infrared(folder, height, width):
    """8-bit colours and infrared that GDAL tags as alpha, dark at the top; pixels with and without
    noise.
    """
    dark = slice(0, height // 5)
    clean = np.clip(texture(4, height, width) / 8, 0, 255)
    pixels = np.clip(np.rint(clean + noise(clean.shape, 6)), 0, 255).astype(np.uint8)
    clean[3, dark] = pixels[3, dark] = 0
    return write(folder / "in.tif", pixels, photometric="RGB", alpha="yes"), pixels, clean


@pytest.mark.parametrize(("bands", "profile"), [(None, "cog"), ([1, 2, 3, 4], "gtiff")])
def test_infrared_that_is_tagged_as_alpha_is_restored(tmp_path, bands, profile):
    source, _, clean = infrared(tmp_path, 100, 90)
    target = tmp_path / "out.tif"
    with pytest.warns(UserWarning, match="band 4 is tagged as alpha"):
        report = geoae.restore(source, target, bands=bands, profile=profile)
    assert report.bands == [1, 2, 3, 4]
    assert ["--bands" in warning for warning in report.warnings] == [True]
    for band, rows in ((0, slice(0, 20)), (0, slice(20, None)), (3, slice(20, None))):
        error = read(target)[band, rows] - clean[band, rows]
        assert np.sqrt(np.mean(error**2)) < 3, band
    with rasterio.open(source) as before, rasterio.open(target) as after:
        assert after.colorinterp == before.colorinterp
        assert before.colorinterp[3] is ColorInterp.alpha
        assert after.mask_flag_enums == before.mask_flag_enums
    again = prepare(Job(source=str(target), model="identity")).scene
    assert (again.bands, again.masked) == ((1, 2, 3, 4), False)


@pytest.mark.parametrize("bands", [None, [1, 2, 3]])
def test_overviews_do_not_take_infrared_for_an_alpha(tmp_path, bands):
    source, pixels, _ = infrared(tmp_path, 600, 520)
    with pytest.warns(UserWarning, match="band 4 is tagged as alpha"):
        identity(source, tmp_path / "out.tif", bands=bands)
    with rasterio.open(tmp_path / "out.tif", overview_level=0) as dataset:
        half = dataset.read()
    mean = pixels.reshape(4, 300, 2, 260, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(half, mean, atol=1)


@pytest.mark.parametrize("profile", ["cog", "gtiff"])
def test_masks_and_alpha_survive(tmp_path, profile):
    pixels = any_pixels("uint8", (4, 90, 90), 5)
    pixels[3] = np.where(np.mgrid[:90, :90][0] > 30, 255, 0)
    alpha = write(tmp_path / "alpha.tif", pixels, photometric="RGB", alpha="yes")
    report = identity(alpha, tmp_path / "alpha_out.tif", profile=profile)
    assert report.copied == {4: "alpha"}
    assert report.warnings == []
    assert read(tmp_path / "alpha_out.tif").tobytes() == pixels.tobytes()
    assert rasterio.open(tmp_path / "alpha_out.tif").colorinterp[3] is ColorInterp.alpha
    masked = write(tmp_path / "masked.tif", pixels[:3])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "r+") as dataset:
        dataset.write_mask(pixels[3] > 0)
    identity(masked, tmp_path / "masked_out.tif", profile=profile)
    assert np.array_equal(masks(tmp_path / "masked_out.tif"), masks(masked))


def test_a_palette_is_copied_and_said(tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8) % 4
    source = write(tmp_path / "in.tif", pixels, photometric="palette")
    with rasterio.open(source, "r+") as dataset:
        dataset.write_colormap(1, {value: (value, 10 * value, 0, 255) for value in range(4)})
    report = identity(source, tmp_path / "out.tif")
    assert report.copied == {1: "palette"}
    assert read(tmp_path / "out.tif").tobytes() == pixels.tobytes()
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.colormap(1)[3] == (3, 30, 0, 255)


def test_complex_data_is_a_clear_error(tmp_path):
    source = write(tmp_path / "in.tif", np.ones((1, 8, 8), np.complex64))
    with pytest.raises(InputError, match="complex64 data cannot be restored"):
        identity(source, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


class Dimmer(OnHost):
    """Takes 30 % of the contrast away, from a neighbourhood of 5 x 5: a restorer that does
    something.
    """

    name, digest, channels, multiple, halo, tile, setting = (
        "dimmer",
        "dimmer",
        4,
        8,
        2,
        1024,
        "numpy",
    )
    takes_spectrum, shares_gain = False, True

    def batch(self, height: int, width: int) -> int:
        return 1

    def __call__(
        self, pixels: np.ndarray, sigma: np.ndarray, shape: np.ndarray | None = None
    ) -> np.ndarray:
        from scipy import ndimage

        return 0.3 * (pixels - ndimage.uniform_filter(pixels, (0, 0, 5, 5)))


@pytest.fixture
def dimmer(monkeypatch):
    monkeypatch.setattr(pipeline_prepare, "load_restorer", lambda job: Dimmer())


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_holes_never_reach_valid_pixels(tmp_path, dimmer, dtype):
    clean = (texture(3, 200, 210) + noise((3, 200, 210), 30)).astype(dtype)
    hole = np.zeros((200, 210), bool)
    hole[60:120, 50:130] = hole[0:3] = hole[150, 150] = True
    results = []
    for index, value in enumerate([0, 65535, np.nan] if dtype == "float32" else [0, 65535, 7]):
        pixels = np.where(hole, np.asarray(value).astype(dtype), clean)
        source = write(tmp_path / f"in{index}.tif", pixels, nodata=value)
        geoae.restore(source, tmp_path / f"out{index}.tif", tile=64)
        restored, valid = (
            read(tmp_path / f"out{index}.tif"),
            masks(tmp_path / f"out{index}.tif") > 0,
        )
        assert np.array_equal(valid, np.broadcast_to(~hole, valid.shape))
        assert restored[:, hole].tobytes() == pixels[:, hole].tobytes()
        results.append(restored[:, ~hole])
    assert (results[0] != clean[:, ~hole]).any()
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


def collar(bands: int, height: int, width: int) -> np.ndarray:
    rows, cols = np.mgrid[:height, :width]
    return np.broadcast_to(cols + 0.3 * rows < width / 3, (bands, height, width))


@pytest.mark.parametrize(("dtype", "value"), [("uint16", 0), ("float32", -9999), ("uint8", 255)])
def test_a_given_value_counts_as_the_declared_one(tmp_path, dimmer, dtype, value):
    clean = (texture(3, 200, 210) / 8 + noise((3, 200, 210), 9)).astype(dtype)
    pixels = np.where(collar(*clean.shape), np.array(value, dtype), clean)
    declared, plain = (
        write(tmp_path / "d.tif", pixels, nodata=value),
        write(tmp_path / "p.tif", pixels),
    )
    geoae.restore(declared, tmp_path / "d_out.tif", tile=64)
    report = geoae.restore(plain, tmp_path / "p_out.tif", tile=64, nodata=value)
    assert not report.warnings
    restored = read(tmp_path / "p_out.tif")
    assert restored.tobytes() == read(tmp_path / "d_out.tif").tobytes()
    assert (restored[:, collar(*clean.shape)[0]] == value).all()
    assert (restored != pixels).any()
    with rasterio.open(tmp_path / "p_out.tif") as dataset:
        assert dataset.nodata is None, "what the file says of itself stays"
    assert report.sigma_after == pytest.approx(
        geoae.restore(declared, tmp_path / "d_out.tif", tile=64).sigma_after
    )


def test_undeclared_fill_is_told_of(tmp_path):
    pixels = (texture(1, 200, 210) + noise((1, 200, 210), 30)).astype(np.uint16)
    pixels[collar(*pixels.shape)] = 0
    source = write(tmp_path / "in.tif", pixels)
    with pytest.warns(UserWarning, match=r"in\.tif: 0 fills .* of the scene .* give --nodata 0"):
        report = identity(source, tmp_path / "out.tif")
    assert len(report.warnings) == 1
    assert not identity(source, tmp_path / "other.tif", nodata=0).warnings


def test_nodata_is_part_of_the_order_where_it_is_given(tmp_path):
    """Even where the sample, from which the noise is told, does not hold it."""
    source, target = (
        write(tmp_path / "in.tif", texture(1, 50, 50).astype(np.uint16)),
        tmp_path / "out.tif",
    )
    job = Job(source=str(source), model="identity")
    plain, given = prepare(job), prepare(job.model_copy(update={"nodata": 0}))
    assert plain.facts.digest == given.facts.digest
    assert plain.fingerprint != given.fingerprint
    assert plain.request_digest != given.request_digest
    identity(source, target)
    with pytest.raises(OutputError, match="--overwrite"):
        identity(source, target, nodata=0)
    assert identity(source, target, nodata=0, overwrite=True).status == "restored"
    assert identity(source, target, nodata=0).status == "skipped"


@pytest.mark.parametrize(
    "value", ["-3.4028234663852886e38", "-3.4028235e+38", "1e20", np.float32(-9999), np.uint16(7)]
)
def test_nodata_may_be_any_number_that_a_pixel_can_be(tmp_path, value):
    pixels = texture(1, 40, 40).astype(np.float32)
    pixels[0, :9] = np.float32(value)
    report = identity(write(tmp_path / "in.tif", pixels), tmp_path / "out.tif", nodata=value)
    assert report.status == "restored"
    assert np.array_equal(read(tmp_path / "out.tif"), pixels)


def test_empty_tiles_are_never_computed(tmp_path):
    pixels = texture(2, 400, 400).astype(np.uint16)
    pixels[:, :300] = 0
    report = identity(write(tmp_path / "in.tif", pixels, nodata=0), tmp_path / "out.tif", tile=64)
    plan = prepare(Job(source=str(tmp_path / "in.tif"), model="identity", tile=64)).work.plan
    empty = (
        sum(plan.rows.start(i) + plan.rows.tile <= 300 for i in range(plan.rows.count))
        * plan.cols.count
    )
    assert report.tiles_empty == empty > 0
    assert report.tiles_computed == plan.tiles - empty


def test_same_result_is_skipped_and_another_refused(tmp_path):
    source, target = (
        write(tmp_path / "in.tif", texture(1, 50, 50).astype(np.uint16)),
        tmp_path / "out.tif",
    )
    assert identity(source, target).status == "restored"
    before = target.stat().st_mtime_ns
    skipped = identity(source, target)
    assert skipped.status == "skipped"
    assert skipped.sigma_after == skipped.sigma_before
    with pytest.raises(OutputError, match="--overwrite"):
        identity(source, target, bands=[1], sigma=3.0)
    assert target.stat().st_mtime_ns == before
    assert identity(source, target, sigma=3.0, overwrite=True).status == "restored"
    target.write_text("precious notes")
    with pytest.raises(OutputError, match="--overwrite"):
        identity(source, target)
    assert target.read_text() == "precious notes"


@pytest.mark.parametrize("profile", ["cog", "gtiff"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
@pytest.mark.parametrize(
    "options", [{}, {"overwrite": True}, {"fresh": True}, {"sigma": 3.0}], ids=str
)
def test_an_output_that_was_cut_short_is_made_again(tmp_path, profile, share, options):
    pixels = (texture(2, 300, 300) + noise((2, 300, 300), 20)).astype(np.uint16)
    source, target = write(tmp_path / "in.tif", pixels), tmp_path / "out.tif"
    identity(source, target, profile=profile)
    os.truncate(target, int(target.stat().st_size * share))
    assert identity(source, target, profile=profile, **options).status == "restored"
    assert np.array_equal(read(target), pixels)


def test_a_foreign_file_that_was_cut_short_is_left_alone(tmp_path):
    pixels = (texture(1, 300, 300) + noise((1, 300, 300), 20)).astype(np.uint16)
    source, target = write(tmp_path / "in.tif", pixels), write(tmp_path / "out.tif", pixels)
    os.truncate(target, target.stat().st_size // 2)
    before = target.read_bytes()
    with pytest.raises(
        OutputError, match=r"out\.tif: exists and is not this result; give --overwrite"
    ):
        identity(source, target)
    assert target.read_bytes() == before
    assert identity(source, target, overwrite=True).status == "restored"


def edit(recipe: Path) -> None:
    recipe.write_text("sigma = 50.0\n")


@pytest.mark.parametrize("change", [edit, Path.unlink])
def test_a_run_keeps_to_the_recipe_that_it_began_with(tmp_path, change):
    source = write(
        tmp_path / "in.tif", (texture(1, 150, 150) + noise((1, 150, 150), 20)).astype(np.uint16)
    )
    target, recipe = tmp_path / "out.tif", tmp_path / "r.toml"
    recipe.write_text("sigma = 5.0\n")
    job = Job(source=str(source), target=str(target), model="identity", tile=64, recipe=str(recipe))
    changed = []

    def on_progress(progress: Progress) -> None:
        if not changed:
            changed.append(change(recipe))

    assert run(job, on_progress).sigma_before == [5.0]
    assert changed
    with rasterio.open(target) as dataset:
        tags = dataset.tags(ns="GEOAE")
    assert json.loads(tags["OPTIONS"])["sigma"] == 5.0
    recipe.write_text("sigma = 50.0\n")
    edited = resolve_options(job)
    assert not is_done(job, edited, Identity()), "it was made with the old one"
    with pytest.raises(OutputError, match="is not this result"):
        run(job)
    recipe.write_text("sigma = 5.0\n")
    assert is_done(job, resolve_options(job), Identity())
    assert run(job).status == "skipped"


def test_input_is_never_the_output(tmp_path):
    source = write(tmp_path / "in.tif", texture(1, 50, 50).astype(np.uint16))
    bytes_before = source.read_bytes()
    with pytest.raises(OutputError, match="is the input itself"):
        identity(source, source, overwrite=True)
    assert source.read_bytes() == bytes_before


def test_only_the_asked_bands_change(tmp_path, dimmer):
    pixels = (texture(3, 100, 100) + noise((3, 100, 100), 30)).astype(np.int16)
    report = geoae.restore(write(tmp_path / "in.tif", pixels), tmp_path / "out.tif", bands=[2])
    restored = read(tmp_path / "out.tif")
    assert report.bands == [2]
    assert np.array_equal(restored[[0, 2]], pixels[[0, 2]])
    assert (restored[1] != pixels[1]).mean() > 0.5


def test_provenance_is_in_the_output(tmp_path):
    source, target = (
        write(tmp_path / "in.tif", texture(2, 50, 50).astype(np.uint16)),
        tmp_path / "out.tif",
    )
    report = identity(source, target)
    with rasterio.open(target) as dataset:
        tags = dataset.tags(ns="GEOAE")
    assert tags["FINGERPRINT"] == report.fingerprint
    assert (tags["MODEL"], tags["MODEL_DIGEST"], tags["VERSION"]) == (
        "identity",
        "identity",
        geoae.__version__,
    )
    assert (tags["SOURCE"], tags["BANDS"], tags["RECIPE"]) == ("in.tif", "1,2", "none")
    assert (
        tags["SOURCE_IDENTITY"] == prepare(Job(source=str(source), model="identity")).scene.identity
    )
    assert json.loads(tags["OPTIONS"]) == {"sigma": "auto", "profile": "cog"}
    assert [float(sigma) for sigma in tags["SIGMA"].split(",")] == pytest.approx(
        report.sigma_before, rel=1e-4
    )
    assert "HISTORY" not in tags
    assert not report.warnings


def test_an_output_restored_again_keeps_its_history_and_warns(tmp_path):
    once, twice, thrice = (tmp_path / f"{name}.tif" for name in ("once", "twice", "thrice"))
    identity(write(tmp_path / "in.tif", texture(1, 50, 50).astype(np.uint16)), once, sigma=7.0)
    with pytest.warns(
        UserWarning, match=r"once\.tif: is already restored by .* restore in\.tif instead"
    ) as caught:
        report = identity(once, twice)
    assert report.warnings == [str(warning.message) for warning in caught]
    assert "\n" not in report.warnings[0]
    with pytest.warns(UserWarning, match="already restored 2 times"):
        identity(twice, thrice)
    with pytest.warns(UserWarning, match=r"once\.tif: is already restored by"):
        assert identity(once, twice).status == "skipped"
    steps = read_history(str(thrice))
    assert [step["SOURCE"] for step in steps] == ["in.tif", "once.tif", "twice.tif"]
    assert steps[:2] == read_history(str(twice))
    assert steps[0]["SIGMA"] == "7"


def test_a_remote_target_gets_the_finished_file(tmp_path):
    source = write(tmp_path / "in.tif", texture(1, 60, 60).astype(np.uint16))
    assert identity(source, "/vsimem/geoae_remote.tif").status == "restored"
    assert np.array_equal(read("/vsimem/geoae_remote.tif"), read(source))
    assert identity(source, "/vsimem/geoae_remote.tif").status == "skipped"


def test_a_zipped_scene_is_restored(tmp_path):
    source = write(tmp_path / "in.tif", texture(1, 60, 60).astype(np.uint16))
    shutil.make_archive(str(tmp_path / "scene"), "zip", tmp_path, "in.tif")
    identity(f"/vsizip/{tmp_path}/scene.zip/in.tif", tmp_path / "out.tif")
    assert np.array_equal(read(tmp_path / "out.tif"), read(source))


def test_unwritable_places_are_one_line(tmp_path):
    source = write(tmp_path / "in.tif", texture(1, 50, 50).astype(np.uint16))
    with pytest.raises(OutputError, match="no such folder"):
        identity(source, tmp_path / "absent" / "out.tif")
    with pytest.raises(OutputError, match="cannot be written"):
        identity(source, Path("/proc/out.tif"))


def no_flush(monkeypatch):
    """Shares of VirtualBox and old CIFS."""
    monkeypatch.setattr(os, "fsync", lock_nothing(errno.EINVAL))


def no_folders_flushed(monkeypatch):
    real = os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: lock_nothing(5)() if stat.S_ISDIR(os.fstat(fd).st_mode) else real(fd),
    )


def no_locks(monkeypatch):
    """NFS without its lock daemon."""
    monkeypatch.setattr(fcntl, "flock", lock_nothing(errno.ENOLCK))


def no_maps(monkeypatch):
    """FUSE with direct I/O."""
    monkeypatch.setattr(mmap, "mmap", lock_nothing(errno.ENODEV))


def no_size(monkeypatch):
    monkeypatch.setattr(os, "statvfs", lock_nothing(errno.ENOSYS))
    monkeypatch.setattr(shutil, "disk_usage", lock_nothing(errno.ENOSYS))


STORAGE = [no_flush, no_folders_flushed, no_locks, no_maps, no_size, keep_open_files]


@pytest.mark.filterwarnings("error:flock")
@pytest.mark.parametrize("harm", STORAGE)
def test_storage_that_is_no_local_disk_will_do(tmp_path, monkeypatch, harm):
    pixels = texture(1, 60, 60).astype(np.uint16)
    source = write(tmp_path / "in.tif", pixels)
    with rasterio.open(source, "r+") as dataset:
        # travels under another name, which is put right at the end
        dataset.update_tags(1, WAVELENGTH="665")
    harm(monkeypatch)
    target = tmp_path / "out.tif"
    assert identity(source, target).status == "restored"
    assert np.array_equal(read(target), pixels)
    with rasterio.open(target) as dataset:
        assert dataset.tags(1) == {"WAVELENGTH": "665"}
    assert identity(source, target).status == "skipped"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif", "out.tif"]


def test_a_target_that_cannot_be_replaced_is_named(tmp_path, monkeypatch):
    """As on a share, where another program has it open."""
    source, target = (
        write(tmp_path / "in.tif", texture(1, 60, 60).astype(np.uint16)),
        tmp_path / "out.tif",
    )
    real = os.replace

    def replace(old, new):
        if Path(new) == target:
            raise PermissionError(13, "Permission denied", str(old), None, str(new))
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(
        OutputError, match=rf"^{target}: cannot be written to \(Permission denied\)"
    ):
        identity(source, target)


def test_a_machine_without_a_folder_for_temporary_files_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: lock_nothing(errno.ENOENT)())
    with pytest.raises(OutputError, match="let TMPDIR name one"):
        identity(
            write(tmp_path / "in.tif", texture(1, 60, 60).astype(np.uint16)), "/vsimem/nowhere.tif"
        )


def run_and_die(source: Path, target: Path, after: int) -> None:
    """Restore a scene in this process, and kill it as soon as ``after`` tiles are done."""

    def on_progress(progress: Progress) -> None:
        if progress.done >= after:
            die()

    pipeline_prepare.load_restorer = lambda spec: Dimmer()
    run(Job(source=str(source), target=str(target), tile=64), on_progress)


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path, dimmer):
    source = write(
        tmp_path / "in.tif", (texture(2, 500, 300) + noise((2, 500, 300), 30)).astype(np.uint16)
    )
    undisturbed = geoae.restore(source, tmp_path / "whole.tif", tile=64)
    per_slab = prepare(Job(source=str(source), tile=64)).work.plan.cols.count
    for after in (1, per_slab * 2 + 3, undisturbed.tiles - 1):
        target = tmp_path / f"killed{after}.tif"
        process = CONTEXT.Process(target=run_and_die, args=(source, target, after))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        assert not target.exists()
        parts = list((tmp_path / f".{target.name}.geoae").glob("slab-*.tif"))
        stamps = {part: part.stat().st_mtime_ns for part in parts}
        resumed = geoae.restore(source, target, tile=64)
        assert resumed.slabs_resumed == len(stamps)
        assert resumed.tiles_computed == undisturbed.tiles - len(stamps) * per_slab
        assert read(target).tobytes() == read(tmp_path / "whole.tif").tobytes()
        assert not (tmp_path / f".{target.name}.geoae").exists()


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
def test_a_jpeg2000_scene_comes_out_as_it_was(tmp_path):
    source = SHARED / "scenes/real_noise/s2_10m_T33UUU_20160529_clouds_1band.jp2"
    identity(source, tmp_path / "out.tif")
    assert np.array_equal(read(tmp_path / "out.tif"), read(source))


def test_a_strict_run_refuses_what_an_output_cannot_hold(tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    pixels = texture(1, 60, 70).astype(np.uint16)
    write(source, pixels)
    assert identity(source, target, strict=True).status == "restored"
    write(source, pixels, APPEND_SUBDATASET="YES")
    with pytest.raises(InputError, match=r"has 2 pages.*; or restore it without --strict"):
        identity(source, target, strict=True, overwrite=True)
    [told] = identity(source, target, overwrite=True).warnings
    assert "has 2 pages" in told
