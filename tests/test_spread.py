from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

import geoae
from geoae.errors import GeoaeError
from geoae.job import Job, run
from tests.rasters import noise, read, texture, write
from tests.test_accessor import model  # noqa: F401  the small network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture
def scene(tmp_path) -> Path:
    pixels = (texture(2, 700, 200) + noise((2, 700, 200), 25)).astype(np.uint16)
    return write(tmp_path / "in.tif", pixels)


def test_a_cluster_gives_the_same_pixels(scene, model, tmp_path, request):  # noqa: F811
    options = {"model": model, "precision": "fp32", "tile": 128}
    alone = geoae.restore(scene, tmp_path / "alone.tif", **options)
    request.getfixturevalue("client")
    seen = []
    job = Job(source=str(scene), target=str(tmp_path / "spread.tif"), **options)
    spread = run(job, lambda progress: seen.append(progress.done))
    # Workers run on fewer threads, and float sums on other threads may differ in the last bit, which
    # moves a value that lies on a tie of the rounding: never further.
    moved = np.abs(read(tmp_path / "spread.tif").astype(int) - read(tmp_path / "alone.tif"))
    assert moved.max() <= 1
    assert moved.mean() < 1e-3
    assert spread.fingerprint == alone.fingerprint
    assert spread.tiles_computed == alone.tiles_computed == len(seen)
    assert (read(tmp_path / "alone.tif") != read(scene)).mean() > 0.5


def test_work_is_done_by_the_workers(client, scene, tmp_path):
    geoae.restore(scene, tmp_path / "out.tif", model="identity", tile=64)
    told = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert all(count > 0 for count in told.values())


def test_a_failure_on_a_worker_is_one_line(client, tmp_path):
    pixels = (texture(1, 900, 200) + noise((1, 900, 200), 25)).astype(np.uint16)
    path = write(tmp_path / "in.tif", pixels, tiled=True, blockxsize=16, blockysize=16)
    # A corner that no sampled window covers: what is wrong shows on a worker first.
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(GeoaeError, match="cannot be read") as caught:
        geoae.restore(path, tmp_path / "out.tif", model="identity", tile=64)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.tif").exists()
