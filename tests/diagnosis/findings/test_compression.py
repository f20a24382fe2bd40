import numpy as np
import pytest
from rasterio.io import MemoryFile

from geoae.diagnosis.findings.compression import find_compression
from tests.diagnosis.findings.looks import ground, look_at
from tests.support.rasters import noise


def scenes(count: int = 8) -> list[np.ndarray]:
    grounds = [(ground(seed) - 400) / 5 + noise((1, 192, 192), 3.0, seed) for seed in range(count)]
    return [np.clip(pixels, 0, 255).round().astype(np.uint8) for pixels in grounds]


def compressed(pixels: np.ndarray, **options: object) -> np.ndarray:
    height, width = pixels.shape[1:]
    profile = {"height": height, "width": width, "count": 1, "dtype": "uint8", **options}
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(pixels)
        with memory.open() as dataset:
            return dataset.read()


def jpeg(quality: int) -> list[np.ndarray]:
    options = {"driver": "GTiff", "compress": "jpeg", "jpeg_quality": quality}
    return [compressed(pixels, **options) for pixels in scenes()]


@pytest.mark.parametrize("corner", [(0, 0), (3, 6)])
def test_blocks_are_found_wherever_they_begin_and_grow_with_the_loss(corner):
    row, col = corner
    found = [
        find_compression(look_at(*[pixels[:, row:, col:] for pixels in jpeg(q)])) for q in (75, 40)
    ]
    assert [one.kind for finding in found for one in finding] == ["jpeg blocks"] * 2
    assert found[1][0].strength > found[0][0].strength > 0.3


@pytest.mark.parametrize("corner", [0, 1])
def test_wavelets_of_jpeg_2000_are_found_wherever_they_begin(corner):
    options = {"driver": "JP2OpenJPEG", "quality": 15, "reversible": "NO"}
    windows = [compressed(pixels, **options)[:, corner:] for pixels in scenes(4)]
    found = find_compression(look_at(*windows, compression="JPEG2000"))
    assert [one.kind for one in found] == ["jpeg 2000"]
    assert found[0].strength > 20
    assert "JPEG2000" in found[0].evidence


def test_what_was_not_compressed_has_no_finding():
    assert find_compression(look_at(*scenes())) == []


def test_a_lossy_file_without_a_trace_is_named():
    (found,) = find_compression(look_at(*scenes(), compression="JPEG"))
    assert (found.kind, found.band, found.strength) == ("lossy compression", None, 0.0)
