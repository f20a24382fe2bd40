"""Names of bands, files and assets of real products: flags, angles, or measurements."""

import re
from pathlib import Path

import pytest

from geoae.radiometry.band_names import (
    ANCILLARY,
    ANGLES,
    CLASSES,
    NOTHING,
    Meaning,
    find_rgb,
    interpret_file_name,
    interpret_name,
)

# The table of the documentation is the one that is tested: names by the heading above them.
PAGE = (Path(__file__).parents[2] / "docs/reference/bands.md").read_text()
SAID = {
    "Flags and classes": Meaning(CLASSES),
    "Angles": Meaning(ANGLES),
    "Dates, counts and uncertainties": Meaning(ANCILLARY),
    "Flags, unless the values are those of a measurement": Meaning(CLASSES, sure=False),
    "Measurements": NOTHING,
}
NAMES = {
    (heading, name)
    for heading, text in re.findall(r"^## (.+)\n\n(.+)$", PAGE, re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", text)
}
FILES = {
    "LC08_L2SP_190024_20200101_20200823_02_T1_QA_PIXEL.TIF": Meaning(CLASSES),
    "LC08_L2SP_190024_20200101_20200823_02_T1_QA_RADSAT.TIF": Meaning(CLASSES),
    "LC08_L2SP_190024_20200101_20200823_02_T1_SR_QA_AEROSOL.TIF": Meaning(CLASSES),
    "LT05_L2SP_190024_19900101_20200823_02_T1_SR_CLOUD_QA.TIF": Meaning(CLASSES, sure=False),
    "LC08_L2SP_190024_20200101_20200823_02_T1_ST_CDIST.TIF": Meaning(ANCILLARY),
    "LC08_L1TP_190024_20200101_20200823_02_T1_SZA.TIF": Meaning(ANGLES),
    "LC08_L2SP_190024_20200101_20200823_02_T1_SR_B4.TIF": NOTHING,
    "LC08_L2SP_190024_20200101_20200823_02_T1_ST_B10.TIF": NOTHING,
    "LC08_L1TP_190024_20200101_20200823_01_T1_BQA.TIF": Meaning(CLASSES),
    "HLS.L30.T33UUU.2020001T100000.v2.0.Fmask.tif": Meaning(CLASSES),
    "HLS.S30.T33UUU.2020001T100000.v2.0.VZA.tif": Meaning(ANGLES),
    "HLS.S30.T33UUU.2020001T100000.v2.0.B8A.tif": NOTHING,
    "S2A.SAFE/GRANULE/L2A/IMG_DATA/R20m/T33UUU_20200101T100000_SCL_20m.jp2": Meaning(CLASSES),
    "S2A.SAFE/GRANULE/L2A/IMG_DATA/R10m/T33UUU_20200101T100000_B04_10m.jp2": NOTHING,
    "S2A.SAFE/GRANULE/L2A/IMG_DATA/R10m/T33UUU_20200101T100000_TCI_10m.jp2": NOTHING,
    "S2A.SAFE/GRANULE/L2A/QI_DATA/MSK_CLDPRB_20m.jp2": Meaning(CLASSES),
    "S2A.SAFE/GRANULE/L2A/QI_DATA/MSK_CLASSI_B00.jp2": Meaning(CLASSES),
    "20200101_100000_1005_3B_udm2.tif": Meaning(CLASSES),
    "20200101_100000_1005_3B_AnalyticMS_DN_udm.tif": Meaning(CLASSES),
    "20200101_100000_1005_3B_AnalyticMS_SR.tif": NOTHING,
    "ENMAP01-____L2A-DT0000001_20220101T100000Z_001_V010110_Z-QL_QUALITY_CLOUD.TIF": Meaning(
        CLASSES
    ),
    "ENMAP01-____L2A-DT0000001_20220101T100000Z_001_V010110_Z-SPECTRAL_IMAGE.TIF": NOTHING,
    'HDF4_EOS:EOS_GRID:"MOD09A1.A2020001.hdf":MOD_Grid:sur_refl_state_500m': (
        Meaning(CLASSES)
    ),
    'HDF4_EOS:EOS_GRID:"MOD09A1.A2020001.hdf":MOD_Grid:sur_refl_b01': (
        NOTHING
    ),
    'HDF5:"VNP09GA.h5"://HDFEOS/GRIDS/VNP_Grid_1km_2D/Data_Fields/SurfReflect_QF1_1': Meaning(
        CLASSES
    ),
    'NETCDF:"S3A_OL.nc":quality_flags': Meaning(CLASSES),
    'NETCDF:"S3A_OL.nc":Oa01_radiance': NOTHING,
    "/vsicurl/https://store/S2A_33UUU/SCL.tif?token=mask": Meaning(CLASSES),
    "/vsizip/all.zip/T1_QA_PIXEL.TIF": Meaning(CLASSES),
    "s3://bucket/mask/B04.tif": NOTHING,
    "clouds over water.tif": NOTHING,
    "cloud.tif": NOTHING,
    "nir_mask_applied.tif": NOTHING,
    "B04_SCL_masked.tif": NOTHING,
    "my_mask.tif": Meaning(CLASSES, sure=False),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sure"),
    [
        ("L8_SCL.tif", True),
        ("LC08_QA_PIXEL.TIF", True),
        ("S2_SCL_20m.jp2", True),
        ("s2_cloud_prob_lt20_nir.tif", False),
        ("S2_SCL_region_B04_10m.tif", False),
        ("qa60_composite_rgb.tif", False),
        ("right_angle.tif", False),
        ("image_error.tif", False),
        ("lia.tif", False),
        ("LC08_SZA.TIF", True),
    ],
)
def test_a_file_is_no_scene_only_where_its_name_ends_so(name, sure):
    found = interpret_file_name(name)
    assert bool(found.kind and found.sure) == sure


def test_the_table_is_read():
    assert len(NAMES) > 240
    assert {heading for heading, _ in NAMES} == set(SAID)


@pytest.mark.parametrize(("heading", "name"), sorted(NAMES))
def test_names_of_bands(heading, name):
    assert interpret_name(name) == SAID[heading]


@pytest.mark.parametrize("source", FILES)
def test_names_of_files(source):
    assert interpret_file_name(source) == FILES[source]


@pytest.mark.parametrize("name", ["", "()", "__", "mask of", "\u4e2d", "x" * 1000])
def test_any_name_is_taken(name):
    assert interpret_name(name).kind in (None, CLASSES)


@pytest.mark.parametrize(
    ("names", "rgb"),
    [
        ("blue green red nir", (2, 1, 0)),
        ("nir red_edge red green blue", (2, 3, 4)),
        ("near_infra_red Red Green Blue", (1, 2, 3)),
        ("B01 B02 B03 B04 B05 B8A", (3, 2, 1)),
        ("SR_B2 SR_B3 SR_B4 SR_B5", (2, 1, 0)),
        ("B1 B2 B3 B4 B5 B7", (2, 1, 0)),
        ("B1 B2 B3 B4 B5 B6 B7 B9", (3, 2, 1)),
        ("B1 B2 B3 B4", None),
        ("B05 B06 B07 B8A", None),
        ("sur_refl_b01 sur_refl_b02 sur_refl_b03 sur_refl_b04 sur_refl_b05", None),
        ("VV VH", None),
    ],
)
def test_red_green_and_blue_by_name(names, rgb):
    assert find_rgb(names.split()) == rgb
