from pathlib import Path

from geoae.evaluation import run as evaluation_run
from geoae.pipeline import job as pipeline_job


def test_demo_takes_folder_and_scene(geoae, scene, monkeypatch):
    monkeypatch.setattr(pipeline_job, "DEFAULT_MODEL", "identity")
    code, out, err = geoae("demo", "--out", "show", "--scene", "s.tif")
    assert (code, err) == (0, [])
    assert out[-1] == "show/demo.png: before and after"
    code, out, err = geoae("demo", "--scene", "missing.tif", "--out", "show")
    assert (code, out, len(err)) == (1, [], 1)


def test_evaluate_takes_only_scenes_that_a_training_kept_out(geoae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.toml").write_text(
        'name = "a"\ncycles = [1]\nvalidation = ["kept.tif"]\n[[groups]]\nfiles = ["*.tif"]\n'
    )
    kept_out = []
    monkeypatch.setattr(evaluation_run, "run_evaluation", lambda *terms: kept_out.append(terms[2]))
    assert geoae("evaluate", "--scenes", "scenes", "--kept-out-by", "train.toml")[0] == 0
    assert geoae("evaluate", "--scenes", "scenes")[0] == 0
    assert kept_out == [["kept.tif"], None]


def test_evaluate_takes_damage_or_noise(geoae, monkeypatch):
    given = []
    monkeypatch.setattr(
        evaluation_run, "run_damage_evaluation", lambda *terms: given.append(terms[3:6])
    )
    damage = ("evaluate", "--scenes", "scenes", "--damage", "dead,rows")
    assert geoae(*damage, "--side", "384", "--peers")[0] == 0
    assert given == [("dead,rows", "all", 384)]
    code, out, err = geoae(*damage, "--sigmas", "25")
    assert (code, out, len(err)) == (1, [], 1)
    assert "give one" in err[0]


def test_evaluate_hands_on_what_counts_as_nodata(geoae, monkeypatch):
    given = []
    monkeypatch.setattr(evaluation_run, "run_evaluation", lambda *terms: given.append(terms[-1]))
    assert geoae("evaluate", "--scenes", "scenes", "--nodata", "-9999")[0] == 0
    assert geoae("evaluate", "--scenes", "scenes", "--nodata", "none")[0] == 1
    assert given == [-9999]
