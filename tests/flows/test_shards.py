"""A shard of an archive; the tests of archives run it on workers."""

import json

import pytest

from geoae.catalog.sources import SceneRef
from geoae.errors import ModelError
from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from tests.flows.scenes import crop, digest_of

pytest.importorskip("prefect")


def shared(tmp_path, **changed):
    from flows.shards import SharedOptions

    plain = Job(source="", model="identity", tile=272)
    given = {
        "plain": plain,
        "target": str(tmp_path),
        "options_digest": digest_of(plain),
        "timeout": 60.0,
        "scheduler": None,
    }
    return SharedOptions(**given | changed)


def test_a_job_for_each_scene(tmp_path):
    found = SceneRef("/in/a/s.tif", "a/s.tif")
    ((same, job),) = shared(tmp_path).jobs([found])
    assert same is found
    assert job == Job(
        source="/in/a/s.tif", target=str(tmp_path / "a" / "s.tif"), model="identity", tile=272
    )


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": [3, 4.5], "bands": "1-3,7", "steps": "lines,noise"},
        {"nodata": "nan", "sharpen": 0.1},
        {"nodata": 2**64 - 1, "precision": "fp32"},
        {"nodata": 1e20, "speckle": "db", "fresh": True},
    ],
)
def test_a_job_keeps_its_digest_on_the_way_to_another_process(options):
    plain = Job.checked(source="", model="identity", **options)
    sent = json.loads(json.dumps(plain.model_dump(mode="json")))
    assert digest_of(Job(**sent)) == digest_of(plain)


def test_another_model_than_that_of_the_archive_is_refused(tmp_path):
    from flows.shards import restore_shard

    with pytest.raises(ModelError, match=r"^identity: is another one on this machine .* install"):
        restore_shard.fn("shard 1", [], shared(tmp_path, options_digest="another"))


def test_a_scene_is_done_once_its_output_is_there(tmp_path):
    from flows.shards import DoneScenes

    found = SceneRef(str(crop(tmp_path / "s.tif")), "out.tif")
    known, anew = (
        DoneScenes(shared(tmp_path, plain=Job(source="", model="identity", fresh=fresh)))
        for fresh in (False, True)
    )
    assert found not in known
    run(Job(source=found.source, target=str(tmp_path / "out.tif"), model="identity"))
    assert found in known
    assert found not in anew
    assert known.is_told
    assert not anew.is_told
    assert SceneRef(str(tmp_path / "none.tif"), "out.tif") not in known


@pytest.mark.usefixtures("server")
def test_a_shard_leaves_out_what_is_done_when_its_turn_comes(tmp_path):
    from flows.shards import restore_shard

    plain = Job(source="", model="identity")
    given = shared(tmp_path, plain=plain, options_digest=digest_of(plain))
    refs = [SceneRef(str(crop(tmp_path / f"{name}.tif")), f"{name}_out.tif") for name in "ab"]
    run(Job(source=refs[1].source, target=str(tmp_path / "b_out.tif"), model="identity"))
    outcomes = restore_shard("shard 1", refs, given)
    assert [(one.source, one.status) for one in outcomes] == [
        (refs[0].source, "restored"),
        (refs[1].source, "skipped"),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("server", "late")
def test_a_scene_is_restored_though_the_server_answers_late(tmp_path):
    from flows.shards import restore_shard

    plain = Job(source="", model="identity")
    given = shared(tmp_path, plain=plain, options_digest=digest_of(plain))
    found = SceneRef(str(crop(tmp_path / "s.tif")), "out.tif")
    (outcome,) = restore_shard("shard 1", [found], given)
    assert (outcome.status, outcome.reason) == ("restored", "")
