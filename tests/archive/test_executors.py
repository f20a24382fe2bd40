import dask
import psutil
import pytest
from distributed import Client, LocalCluster

from geoae.archive.executors import SCENES_PER_THREAD, in_process, on_cluster
from geoae.errors import ClusterError, InputError
from tests.archive import doubles
from tests.support.clusters import wait_until


def test_in_this_process_one_is_done_before_the_next_is_taken():
    taken = []

    def todo():
        for each in doubles.scenes_of(3):
            taken.append(each)
            yield each

    for number, done in enumerate(in_process(doubles.restored, todo()), start=1):
        assert done.outcome.status == "restored"
        assert len(taken) == number


def cluster(**options):
    return LocalCluster(dashboard_address=":0", memory_limit=0, **options)


@pytest.fixture(scope="module")
def client():
    with cluster(n_workers=2, threads_per_worker=1) as workers, Client(workers) as client:
        yield client


@pytest.mark.slow
class TestOnACluster:
    def test_every_scene_once_on_all_workers(self, client):
        done = list(on_cluster(client, doubles.slow, doubles.scenes_of(20)))
        assert sorted(one.found.name for one in done) == [
            found.name for found, _ in doubles.scenes_of(20)
        ]
        assert len({one.outcome.reason for one in done}) == 2

    def test_an_error_is_that_of_its_scene(self, client):
        done = list(on_cluster(client, doubles.refused, doubles.scenes_of(3)))
        assert [type(one.error) for one in done] == [InputError] * 3

    def test_the_scheduler_holds_few_scenes_at_a_time(self, client):
        ahead = []

        def todo():
            for number, each in enumerate(doubles.scenes_of(50), start=1):
                ahead.append(number - len(done))
                yield each

        done = []
        for one in on_cluster(client, doubles.restored, todo()):
            done.append(one)
        assert len(done) == 50
        assert max(ahead) <= 2 * SCENES_PER_THREAD + 1

    def test_nothing_is_left_on_the_cluster_when_it_is_given_up(self, client):
        attempts = on_cluster(client, doubles.slow, doubles.scenes_of(50))
        next(attempts)
        attempts.close()
        wait_until(lambda: not client.futures)

    def test_nothing_to_do(self, client):
        assert list(on_cluster(client, doubles.restored, [])) == []

    def test_a_worker_that_cannot_run_it_is_one_line(self, client):
        with pytest.raises(ClusterError, match=r"cannot run geoae .*geoae_of_tomorrow") as caught:
            list(on_cluster(client, doubles.OfAnotherVersion(), doubles.scenes_of(3)))
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_gpu_computes_one_scene_at_a_time(tmp_path):
    options = {"n_workers": 1, "threads_per_worker": 3}
    for resources, most in ({"GPU": 1}, "1"), ({}, "3"):
        with cluster(**options, resources=resources) as workers, Client(workers) as client:
            done = list(on_cluster(client, doubles.Counted(tmp_path), doubles.scenes_of(9)))
        assert max(one.outcome.reason for one in done) == most


@pytest.mark.slow
def test_a_scene_that_kills_its_workers_stops_nothing():
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        cluster(n_workers=2, threads_per_worker=1) as workers,
        Client(workers) as client,
    ):
        deadly = doubles.Deadly("s00003.tif")
        done = {
            one.found.name: one.outcome for one in on_cluster(client, deadly, doubles.scenes_of(12))
        }
    assert len(done) == 12
    failed = {name for name, outcome in done.items() if outcome.status == "failed"}
    assert "s00003.tif" in failed
    # One that waited on the same workers each time is blamed too; the next run restores it.
    assert len(failed) <= 2
    assert "Dask workers died of the scene" in done["s00003.tif"].reason


@pytest.mark.slow
def test_the_scenes_of_a_lost_worker_go_to_the_others():
    with cluster(n_workers=2, threads_per_worker=1) as workers, Client(workers) as client:
        done = []
        for one in on_cluster(client, doubles.slow, doubles.scenes_of(30)):
            if not done:
                psutil.Process(workers.workers[0].pid).kill()
            done.append(one.found.name)
    assert sorted(done) == [found.name for found, _ in doubles.scenes_of(30)]


@pytest.mark.slow
def test_a_lost_scheduler_is_one_line():
    with cluster(n_workers=1, threads_per_worker=1) as workers, Client(workers) as client:
        attempts = on_cluster(client, doubles.slow, doubles.scenes_of(30))
        next(attempts)
        workers.close()
        with pytest.raises(ClusterError, match="the Dask scheduler was lost; start it"):
            list(attempts)
