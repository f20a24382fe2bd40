import dask.array
import numpy as np
import pytest

from geoae.accessor.measure import Asked, LazySource, decide_lazily
from geoae.errors import InputError
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.preparation.prepare import load_restorer
from geoae.tiling.window import Window, windows
from tests.support.rasters import noise, texture


def counted(pixels: np.ndarray) -> tuple[dask.array.Array, list[tuple[int, ...]]]:
    """``pixels`` in chunks of 50 rows, and the list of those that were computed."""
    computed: list[tuple[int, ...]] = []

    def block(block_id):
        computed.append(block_id)
        return pixels[:, block_id[1] * 50 : block_id[1] * 50 + 50]

    bands, rows, columns = pixels.shape
    chunks = ((bands,), (50,) * (rows // 50), (columns,))
    meta = np.empty((0, 0, 0), pixels.dtype)
    return dask.array.map_blocks(block, chunks=chunks, meta=meta), computed


def test_known_windows_are_not_computed_again():
    pixels, computed = counted(texture(2, 200, 90).astype(np.uint16))
    known = {Window(0, 0, 20, 90): np.full((2, 20, 90), 9, np.uint16)}
    scene = LazySource(pixels, None, "scene", [1, 2]).know(known)
    for some in (scene, scene.restrict([1])):
        with some.reader() as reader:
            assert (reader.read(Window(0, 0, 20, 90))[0] == 9).all()
            assert (reader.read(Window(-2, 0, 20, 90))[0] != 9).any()
    assert len(computed) == 8  # each reader computed the scene once, for its second window


def test_a_small_scene_is_computed_once_for_a_reader():
    pixels, computed = counted(texture(1, 200, 90).astype(np.uint16))
    with LazySource(pixels, None, "scene", [1]).reader() as reader:
        assert not computed
        for row in range(0, 180, 20):
            reader.read(Window(row, 0, 20, 90))
    assert len(computed) == 4


def decide(pixels: np.ndarray, nodata: float | None, names: list[str] | None, **options):
    job = Job(source="scene", **options)
    chosen = resolve_options(job)
    asked = Asked(job, chosen, load_restorer(ModelSpec.of(job, chosen)).digest)
    array = dask.array.from_array(pixels)
    scene = LazySource(array, nodata, "scene", range(1, len(pixels) + 1))
    looks = windows(*pixels.shape[1:])
    parts = [pixels[(slice(None), *window.slices())] for window in looks]
    return decide_lazily(asked, scene, looks, parts, names)


def test_bands_that_are_left_out_get_no_noise(model):
    pixels = np.round(texture(4, 180, 190) + noise((4, 180, 190), 25)).astype(np.uint16)
    pixels[1], pixels[2] = 0, pixels[2] // 1000
    sigma = [20.0, 21.0, 22.0, 23.0]
    with pytest.warns(UserWarning, match="^scene: ") as warned:
        found = decide(pixels, 0, ["", "", "SCL", ""], model=model, sigma=sigma)
    assert found.facts.sigma.tolist() == [20, 0, 0, 23]
    told = [str(one.message).partition("; ")[0] for one in warned]
    assert "scene: no valid pixel in band 2" in told
    assert "scene: band SCL is copied, since its values look like flags or classes" in told


def test_unknown_noise_is_refused(model):
    pixels = np.full((1, 180, 190), 7, np.uint16)
    pixels[0, ::9, ::9] = 100
    with pytest.raises(InputError, match="scene: too few valid pixels lie side by side"):
        decide(pixels, 7, None, model=model)
