"""Tables and pictures of real noisy frames, for docs/real-frames.md.

    python scripts/real_frames.py FRAMES OUT

Diagnoses and restores every GeoTIFF and JPEG 2000 file of the folder FRAMES with the default model
and options, prints two Markdown tables, and draws before, after and three times the difference of
the frames named in ``SHOWN`` into the folder OUT.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio

import geoae
from geoae.audit.preview import preview
from geoae.diagnosis.finding import Finding
from geoae.errors import GeoaeError
from geoae.types import Floats, Mask

# Frames whose pictures are in the documentation, and how their pixels are restored.
SHOWN = (
    "micasense_rededge_raw_panel_blue",
    "micasense_rededge_raw_vineyard_nir",
    "l5_tm_19880814_6band_30m",
    "s2_60m_18SVG_20160112_B01_B09_B10",
    "s2_smoke_5-4_POTTERS_post",
    "l8_020039_20150804_tirs_B10_B11",
    "umbra_mount_yasur_sar_8bit",
    "s1_grd_vv_overview_uint16",
)
SPECKLE = {"umbra_mount_yasur_sar_8bit": "amplitude", "s1_grd_vv_overview_uint16": "amplitude"}
# Side of the blocks whose calmest part shows the noise.
SIDE, CALM = 16, 0.03


def main(frames: Path, out: Path) -> None:
    """Print both tables and draw the pictures."""
    found, taken = [], []
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        for path in sorted(path for path in frames.iterdir() if path.suffix in (".tif", ".jp2")):
            target = Path(folder) / f"{path.stem}.tif"
            try:
                found.append(f"| {path.stem} | {_summarize(geoae.diagnose(path).findings)} |")
                speckle = SPECKLE.get(path.stem)
                geoae.restore(path, target, **({"speckle": speckle} if speckle else {}))
            except GeoaeError as error:
                found.append(f"| {path.stem} | refused: {str(error).partition(': ')[2]} |")
                continue
            taken += _compare(path, target)
            if path.stem in SHOWN:
                picture = out / f"{path.stem}.jpg"
                preview(str(path), picture, size=1200, restored=str(target), overwrite=True)
    print("| frame | findings |", "| --- | --- |", *found, sep="\n")
    print(
        "\n| frame, band | calm ground before | after | even and odd rows before | after |"
        " strongest edges kept |",
        "| --- | --- | --- | --- | --- | --- |",
        *taken,
        sep="\n",
    )


def _summarize(findings: Sequence[Finding]) -> str:
    """Say each kind once, with its bands and strengths."""
    kinds: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in findings:
        kinds[one.kind, one.unit].append(one)
    return "; ".join(_describe(kind, some) for (kind, _), some in kinds.items()) or "nothing"


def _describe(kind: str, some: Sequence[Finding]) -> str:
    bands = ", ".join(str(band) for band in Counter(one.band for one in some if one.band))
    strengths = ", ".join(f"{one.strength:.3g}" for one in some)
    return f"**{kind}**{f' in {bands}' if bands else ''}: {strengths} {some[0].unit}"


def _compare(source: Path, target: Path) -> list[str]:
    """Compare each changed band before and after."""
    with rasterio.open(source) as before, rasterio.open(target) as after:
        pairs = [
            (before.read(band).astype(float), after.read(band).astype(float))
            for band in before.indexes
        ]
        valid = [before.read_masks(band) > 0 for band in before.indexes]
    rows = []
    for band, ((old, new), mask) in enumerate(zip(pairs, valid, strict=True), 1):
        mask &= np.isfinite(old)
        if np.array_equal(old[mask], new[mask]):
            rows.append(f"| {source.stem}, {band} | unchanged | | | | |")
            continue
        calm = _find_calm(old, mask)
        noise = [_measure_calm(one, calm) for one in (old, new)]
        lines = [abs(_fold_rows(one, mask)) for one in (old, new)]
        # Steps in speckle of one look are speckle.
        edges = "" if source.stem in SPECKLE else f"{_keep_edges(old, new, mask):.3f}"
        rows.append(
            f"| {source.stem}, {band} | {noise[0]:.3g} | {noise[1]:.3g} | {lines[0]:.3g} |"
            f" {lines[1]:.2g} | {edges} |"
        )
    return rows


def _cut(pixels: Floats) -> Floats:
    """Blocks less a quadratic plane, ``(block, pixel)``."""
    high, wide = (size // SIDE for size in pixels.shape)
    blocks = pixels[: high * SIDE, : wide * SIDE].reshape(high, SIDE, wide, SIDE).swapaxes(1, 2)
    row, col = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    terms = np.stack([np.ones_like(row), row, col, row * col, row**2, col**2], -1).reshape(-1, 6)
    base = np.linalg.qr(terms)[0]
    flat = blocks.reshape(-1, SIDE * SIDE)
    rest: Floats = flat - (flat @ base) @ base.T
    return rest


def _find_calm(pixels: Floats, mask: Mask) -> np.ndarray:
    """Indices of the valid blocks that vary least."""
    variance = np.square(_cut(np.where(mask, pixels, np.nan))).mean(axis=1)
    order = np.argsort(variance, kind="stable")
    known = np.isfinite(variance).sum()
    return order[: max(int(CALM * known), 3)]


def _measure_calm(pixels: Floats, calm: np.ndarray) -> float:
    """Deviation in calm blocks, in DN."""
    return float(np.sqrt(np.square(_cut(pixels)[calm]).sum() / (len(calm) * (SIDE * SIDE - 6))))


def _fold_rows(pixels: Floats, mask: Mask) -> float:
    """Difference of odd rows from even ones, as texture does not have it, in DN."""
    away = pixels[1:-1] - (pixels[:-2] + pixels[2:]) / 2
    away[~(mask[1:-1] & mask[:-2] & mask[2:])] = np.nan
    return float(np.nanmedian(away[::2]) - np.nanmedian(away[1::2])) / 2


def _keep_edges(before: Floats, after: Floats, mask: Mask) -> float:
    """Slope of the strongest hundredth of the steps from column to column, after over before.

    Steps are chosen and weighed by those two rows below, whose noise is another.
    """
    known = mask[:-2] & mask[2:]
    both = known[:, 1:] & known[:, :-1]
    old, new = (np.diff(one, axis=1)[:-2][both] for one in (before, after))
    below = np.diff(before, axis=1)[2:][both]
    strong = np.abs(below) >= np.percentile(np.abs(below), 99)
    return float(below[strong] @ new[strong] / (below[strong] @ old[strong]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
