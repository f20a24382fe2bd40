from pathlib import Path

import dask
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster

import geoae
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import ClusterError, GeoaeError, ModelError
from geoae.pipeline import distributed
from geoae.pipeline.distributed import RemoteWork, active_client, name_for_workers, use_cluster
from geoae.pipeline.job import Job, ModelSpec
from geoae.pipeline.preparation.prepare import load_restorer
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.run import run
from geoae.raster.memory import ArraySource
from tests.support.rasters import noise, read, texture, write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def scene(tmp_path) -> Path:
    pixels = (texture(2, 700, 200) + noise((2, 700, 200), 25)).astype(np.uint16)
    return write(tmp_path / "in.tif", pixels)


def test_a_cluster_gives_the_same_pixels(scene, model, tmp_path, request):
    options = {"model": model, "precision": "fp32", "tile": 128}
    alone = geoae.restore(scene, tmp_path / "alone.tif", **options)
    request.getfixturevalue("client")
    seen = []
    job = Job(source=str(scene), target=str(tmp_path / "spread.tif"), **options)
    spread = run(job, lambda progress: seen.append(progress.done))
    # Workers run on fewer threads, and float sums on other threads may differ in the last bit,
    # which moves a value that lies on a tie of the rounding: never further.
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


def test_a_worker_that_knows_another_model_by_that_name_says_so(model):
    spec, array = ModelSpec(model), ArraySource(texture(1, 64, 64))
    options, facts = Recipe(), SceneStatistics.of([(array.pixels, np.ones((1, 64, 64), bool))])
    digest = load_restorer(spec).digest
    assert RemoteWork(spec, digest, options, facts).build(array).restorer.name == "small"
    with pytest.raises(ModelError, match="is another model here"):
        RemoteWork(spec, "of yesterday", options, facts).build(array)


def test_a_failure_on_a_worker_is_one_line(client, tmp_path):
    pixels = (texture(1, 900, 200) + noise((1, 900, 200), 25)).astype(np.uint16)
    path = write(tmp_path / "in.tif", pixels, tiled=True, blockxsize=16, blockysize=16)
    # A corner that no sampled window covers: what is wrong shows on a worker first.
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(GeoaeError, match="cannot be read") as caught:
        geoae.restore(path, tmp_path / "out.tif", model="identity", tile=64)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:8786", "tcp://127.0.0.1:1"])
def test_a_scheduler_that_is_none_is_told_in_one_line(address, monkeypatch):
    monkeypatch.setattr(distributed, "ANSWER_SECONDS", 0.5)
    with (
        pytest.raises(ClusterError, match=f"{address}: no Dask scheduler answers") as caught,
        use_cluster(address, print),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert active_client() is None or active_client().status == "running"


def lost(scene, options, lose) -> ClusterError:
    """The error of a run whose cluster of one worker is lost after the first tiles."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        use_cluster(cluster.scheduler_address, print),
        pytest.raises(ClusterError) as caught,
    ):
        run(
            Job(source=str(scene), target=str(scene.with_name("out.tif")), **options),
            lambda done: lose(cluster),
        )
    return caught.value


def test_a_lost_scheduler_is_one_line_and_slabs_stay(scene):
    error = lost(scene, {"model": "identity", "tile": 64}, lambda cluster: cluster.close())
    assert (
        str(error)
        == "the Dask scheduler was lost; start it and run again, what is finished is kept"
    )
    assert list(scene.parent.glob(".out.tif.geoae/slab-*.tif"))


def test_dead_workers_are_one_line(scene, tmp_path):
    def lose(cluster):
        for worker in cluster.workers.values():
            psutil.Process(worker.pid).kill()

    error = lost(scene, {"model": "identity", "tile": 64}, lose)
    assert "Dask workers died of the scene; give them more memory" in str(error)


def test_a_cluster_without_workers_is_told_of():
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        told: list[str] = []
        with use_cluster(cluster.scheduler_address, told.append):
            assert active_client() is not None
        assert [
            cluster.scheduler_address in line and "has no workers yet" in line for line in told
        ] == [True]


def test_names_that_geoae_knows_stay_where_folders_bear_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("identity", "res-cae", "bilinear", "white", "own", "own.npy"):
        (tmp_path / name).mkdir()
    for model, psd in (("identity", "bilinear"), ("res-cae", "white")):
        named = name_for_workers(Recipe(model=model, psd=psd))
        assert (named.model, named.psd) == (model, psd)
    named = name_for_workers(Recipe(model="own", psd="own.npy"))
    assert (named.model, named.psd) == (str(tmp_path / "own"), str(tmp_path / "own.npy"))
