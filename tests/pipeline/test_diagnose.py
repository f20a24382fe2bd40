import numpy as np
import pytest
import rasterio

from geoae.diagnosis.grouping import tabulate
from geoae.errors import InputError
from geoae.pipeline.diagnose import Diagnosis, diagnose
from geoae.pipeline.job import Job
from geoae.simulation import Gaussian
from tests.corrections.support import scene, stripe
from tests.support.rasters import texture, write

FAULTS = {"lost lines", "dead pixels", "stripes", "bursts"}


def dn(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels, 1, None).round().astype(np.uint16)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> Diagnosis:
    """Stripes of 12 DN along the columns of all bands; rows 70 and 71 of band 2 are lost."""
    pixels = dn(stripe(scene(), 12.0, angle=0.0, axis="column"))
    pixels[1, 70:72] = 0
    return diagnose(Job(source=str(write(tmp_path_factory.mktemp("faulty") / "s.tif", pixels))))


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Diagnosis:
    path = tmp_path_factory.mktemp("clean") / "s.tif"
    return diagnose(Job(source=str(write(path, dn(scene())))))


def of_kind(found: Diagnosis, kind: str) -> list:
    return [one for one in found.findings if one.kind == kind]


def test_lost_lines_are_named(faulty):
    (lost,) = of_kind(faulty, "lost lines")
    assert (lost.band, lost.strength, lost.unit, lost.place) == (2, 2, "rows", "rows 70, 71")
    assert "step lines" in lost.action


def test_stripes_are_named_in_each_band_with_their_strength(faulty):
    stripes = of_kind(faulty, "stripes")
    assert [one.band for one in stripes] == [1, 2, 3]
    assert [one.strength for one in stripes] == pytest.approx([12, 12, 12], rel=0.15)
    assert all("along columns" in one.place for one in stripes)


def test_noise_is_measured_beside_the_faults(faulty):
    levels = [one.strength for one in of_kind(faulty, "noise")]
    assert levels == pytest.approx([4, 4, 4], rel=0.1)


def test_the_steps_are_what_restoring_would_do(faulty):
    assert [line.split(" ")[0] for line in faulty.steps] == ["lost", "stripes", "noise:"]


def test_a_clean_scene_has_no_fault(clean):
    assert not {one.kind for one in clean.findings} & FAULTS
    assert [line.split(" ")[0] for line in clean.steps] == ["noise:"]
    assert (clean.height, clean.width, clean.bands) == (200, 220, [1, 2, 3])
    assert (clean.valid_percent, clean.notes) == (100, [])


def test_a_scene_of_flags_only_has_no_finding(tmp_path):
    path = write(tmp_path / "s.tif", np.tile(np.uint8([[[1, 2], [4, 8]]]), (1, 40, 40)))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("QA_PIXEL",)
    found = diagnose(Job(source=str(path)))
    assert (found.bands, found.findings, found.steps) == ([], [], [])
    (note,) = found.notes
    assert note.startswith(f"{path}: band 1 not looked at: ")
    found.write_page(tmp_path / "d.html")
    assert "<img" not in (tmp_path / "d.html").read_text()


def test_json_there_and_back(faulty):
    assert Diagnosis.model_validate_json(faulty.model_dump_json()) == faulty


def test_the_page_shows_the_scene_and_its_findings(faulty, tmp_path):
    faulty.write_page(tmp_path / "d.html")
    page = (tmp_path / "d.html").read_text()
    assert "200 rows x 220 columns, 3 bands, 100.0 % valid" in page
    assert 'src="data:image/jpeg;base64,' in page
    rows = tabulate(faulty.findings)
    assert page.count("<tr><td>") == len(rows) < len(faulty.findings)


def test_only_some_bands_and_a_nodata_value_of_the_user(tmp_path):
    pixels = dn(scene((3, 100, 110)))
    pixels[:, :, :22] = 0
    path = write(tmp_path / "s.tif", pixels)
    told = diagnose(Job(source=str(path), bands=[1, 3]))
    assert told.bands == [1, 3]
    assert any("0 fills 20% of the scene" in note for note in told.notes)
    found = diagnose(Job(source=str(path), bands=[1, 3], nodata=0))
    assert found.valid_percent == pytest.approx(80)
    assert not any("fills" in note for note in found.notes)
    assert {one.band for one in found.findings} <= {1, 3, None}


def test_what_is_no_scene_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be opened as a raster"):
        diagnose(Job(source=str(tmp_path / "gone.tif")))


@pytest.mark.parametrize("value", [1e20, -1e30])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_fill_value_that_is_not_declared_is_named_and_does_not_overflow(tmp_path, value):
    pixels = scene()
    pixels[:, :40] = value
    found = diagnose(Job(source=str(write(tmp_path / "in.tif", pixels))))
    told = " ".join(found.notes)
    assert "fills 20% of the scene" in told


def test_noise_that_bands_share_is_one_of_the_steps(tmp_path):
    clean = np.repeat(texture(1, 200, 200) * 1.0, 3, axis=0)
    noisy = Gaussian(30.0, between=0.8)(clean, np.random.default_rng(1))
    found = diagnose(Job(source=str(write(tmp_path / "s.tif", noisy.astype(np.float32)))))
    assert "bands 1-3; whitened" in found.steps[-1]
