"""What the names of bands, files and STAC assets say: flags, classes, angles, or nothing."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

__all__ = [
    "ANCILLARY",
    "ANGLES",
    "CLASSES",
    "NOTHING",
    "Meaning",
    "find_rgb",
    "interpret_file_name",
    "interpret_name",
]

CLASSES = "quality or class band"
ANGLES = "angles of sun or sensor"
ANCILLARY = "dates, counts or uncertainties"


class Meaning(NamedTuple):
    """What a name says of a band.

    Attributes:
        kind: ``CLASSES``, ``ANGLES`` or ``ANCILLARY``; None where the name says none of these.
        sure: whether the name alone decides; if not, the values may say otherwise.

    """

    kind: str | None
    sure: bool = True


NOTHING = Meaning(None)

# Names of flags and classes in the product guides of Landsat, HLS, MODIS, VIIRS, Sentinel-2 and -3,
# EnMAP, PRISMA, Planet, Sentinel Hub and Earth Engine: wherever they are part of a name ...
ANYWHERE = re.compile(
    r"msk_\w+|bqa|qa\d+|qf\d*|scl|c?fmask|dqf|wqsf|udm\d?|radsat|(?:pixel|radsat|sraerosol"
    r"|lineage)qa|qa_(?:pixel|radsat|aerosol|data_plane|value)|qf_\w+|state_(?:1km|500m|250m)"
    r"|gflags|test_?flags|pixel_?mask|data_?mask|cloud_?mask|sr_aerosol|mandatory_quality"
    r"|ql_quality\w*|(?:cloud|class)_?prob(?:ability)?|err_matrix|lc_(?:type|prop)\d\w*"
)
# ... or only at its end, "cloud mask" and "class" rather than "mask applied" and "class A red".
AT_END = re.compile(
    r"qa|qc|clm|clp|snw|cs|cs_cdf|wbm|flm|edm|hem|exception|confidence_an|land_?cover(?:_map)?"
    r"|(?:scene_)?class(?:es|ification)?(?:_map)?|quality(?:_(?:assessment|assurance|control"
    r"|indicators?|information))?|masks?|bit_?mask|flags?|categor(?:y|ies)|labels?|validity"
)
ANGLE = re.compile(
    r"(?:solar|sun|view|viewing|sensor|satellite|relative|moon|lunar)_?(?:zenith|azimuth|elevation"
    r"|angles?)(?:_angles?|_mean)?|(?:local_)?incidence_?angles?|[sv][za]a|s[eo][az]4|angle|lia"
    r"|(?:day|night)_view_angl|moon_phase_angle"
)
OTHER = re.compile(
    r"uncertainty|err|error|std_?dev|day_?of_?year|doy|(?:day|night)_view_time|utc_time"
    r"|num_observations|obscov|iobs_res|orbit_pnt|granule_pnt|q_scan|burn_date|(?:first|last)_day"
    r"|composite_day_of_the_year|loss_?year|cdist"
)
# What may follow a name without changing its meaning: a resolution, a number or a band.
TAIL = re.compile(r"\d+k?m|\d+|[a-z]?\d{1,2}a?|band\d*|v\d+|vnir|swir|[ai][no]|layer|day|night")
# A name that ends in one of these is that of a measurement.
DONE = re.compile(
    r"applied|assured|checked|controlled|masked|free|corrected|removed|passed|cleaned|filtered"
)
# Words at the end of a file's name that are too common to decide.
PLAIN = {"angle", "angles", "err", "error", "lia", "uncertainty"}
BEFORE = {"of", "for", "from", "in"}
# Names that stand for masks in some products, and for measurements or indices in others.
PERHAPS = re.compile(
    r"clear|clouds?|cld|snow|(?:cloud_)?shadow|(?:light_|heavy_)?haze|confidence|water|ice"
    r"|snow_ice|map|lc|lulc|probability|pointing|bayes|cloud|saturation"
)
SUFFIX = re.compile(
    r"\.(?:tiff?|jp2|img|vrt|hdf5?|h5|nc4?|bsq|bil|dat|png|zip|gz|cog)$", re.IGNORECASE
)
# Names of the visible bands, and of bands that are not red in spite of their name.
COLOURS = ("red", "green", "blue")
NOT_RED = {"edge", "infra", "infrared", "rededge"}
# Numbers of the bands of Landsat and Sentinel-2: B4, B04, SR_B4.
NUMBERED = re.compile(r"(?:sr_|toa_)?b0?([1-9])")


def find_rgb(names: Sequence[str]) -> tuple[int, int, int] | None:
    """Find red, green and blue among bands by their names.

    Bands of Landsat and Sentinel-2 may be numbered. B1, B2, B3, B4, B5 and B7 without a B6 are
    those of Landsat 4 to 7, where red is B3; else red is B4, as for Landsat 8 and Sentinel-2. B1
    to B4 alone may be of many sensors, and decide nothing.

    Args:
        names: description of each band; empty where it has none.

    Returns:
        Indices of the three bands, from 0 on; None where the names do not say.

    """
    words = [_words(name) for name in names]
    named = [
        next((i for i, one in enumerate(words) if colour in one and not NOT_RED & {*one}), None)
        for colour in COLOURS
    ]
    if None not in named:
        return tuple(named)  # type: ignore[return-value]
    found = (NUMBERED.fullmatch("_".join(one)) for one in words)
    at = {int(match[1]): i for i, match in enumerate(found) if match}
    if at.keys() >= {1, 2, 3, 4, 5, 7} and not at.keys() & {6, 8, 9}:
        return at[3], at[2], at[1]
    if at.keys() >= {2, 3, 4} and at.keys() != {1, 2, 3, 4}:
        return at[4], at[3], at[2]
    return None


def interpret_name(name: str, of_file: bool = False) -> Meaning:
    """Tell what a name says.

    Args:
        name: a band's description, a variable, the key or title of an asset, or a file's name
            without folders and suffix.
        of_file: whether it names a file, in which a general word such as "mask" decides nothing.

    Returns:
        What the name stands for; ``NOTHING`` for names of measurements and unknown ones.

    """
    words = _words(name)
    if not words:
        return NOTHING
    text, head = "_".join(words), "_".join(_without_tail(words))
    if _ends_with(DONE, head):
        return NOTHING
    ends = (_ends_with(ANYWHERE, text), _ends_with(ANYWHERE, head))
    if any(ends) or _contains(ANYWHERE, text):
        # A file may be a scene that was chosen by its clouds.
        return Meaning(CLASSES, sure=any(ends) or not of_file)
    for pattern, kind in ((ANGLE, ANGLES), (OTHER, ANCILLARY)):
        if _ends_with(pattern, text) or _ends_with(pattern, head):
            return Meaning(kind, sure=not of_file or words[-1] not in PLAIN)
    before = next(("_".join(words[:at]) for at, word in enumerate(words) if word in BEFORE), "")
    if any(_ends_with(AT_END, part) for part in (text, head, before)):
        return Meaning(CLASSES, sure=not of_file)
    # A file that is named after clouds or water is a scene of them.
    return NOTHING if of_file or not PERHAPS.fullmatch(head) else Meaning(CLASSES, sure=False)


def interpret_file_name(source: str) -> Meaning:
    """Tell what the name of a file, of a variable in a container, or of an asset's address says.

    Args:
        source: anything GDAL opens by name.

    Returns:
        As ``interpret_name``.

    """
    inside = re.match(r'^\w+:.*[:"]/*([^:"/]+)$', source) if "://" not in source else None
    if inside and not SUFFIX.search(inside[1]):
        return interpret_name(inside[1])
    name = PurePosixPath(source.split("?")[0].replace("\\", "/")).name.strip('"')
    return interpret_name(SUFFIX.sub("", name), of_file=True)


def _words(name: str) -> list[str]:
    """The words of a name in lower case, without what stands in brackets."""
    bare = re.sub(r"\([^)]*\)|\[[^]]*\]", " ", name)
    split = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})", "_", bare)
    return [word for word in re.split(r"[^0-9a-z]+", split.lower()) if word]


def _without_tail(words: list[str]) -> list[str]:
    while len(words) > 1 and TAIL.fullmatch(words[-1]):
        words = words[:-1]
    return words


def _contains(pattern: re.Pattern[str], text: str) -> bool:
    """Whether whole words anywhere in ``text`` match."""
    return bool(re.search(rf"(?:^|_)(?:{pattern.pattern})(?:_|$)", text))


def _ends_with(pattern: re.Pattern[str], text: str) -> bool:
    """Whether whole words at the end of ``text`` match."""
    return bool(re.search(rf"(?:^|_)(?:{pattern.pattern})$", text))
