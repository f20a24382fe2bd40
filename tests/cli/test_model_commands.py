from pathlib import Path

from geoae.evaluation import run as evaluation_run
from geoae.models.card import shipped_models
from geoae.pipeline import job as pipeline_job
from geoae.training import adapt as adaptation
from geoae.training.adapt import Adapted
from geoae.training.gain import Gain

CARD = shipped_models()[0]


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


def test_adapt_hands_on_scenes_and_says_what_it_gained(geoae, scene, monkeypatch, tmp_path):
    given = []
    gain = Gain(0.4, 0.38, 0.22, 0.01, 5)

    def adapt(sources, model, folder, **how):
        given.append((sources, model, str(folder), how))
        return Adapted(gain, CARD if len(given) == 1 else None)

    monkeypatch.setattr(adaptation, "adapt", adapt)
    code, out, err = geoae("adapt", str(tmp_path), "--steps", "7", "--objective", "sure")
    assert (code, err) == (0, [])
    how = {"objective": "sure", "steps": 7, "seed": 0}
    assert given == [([str(tmp_path / "s.tif")], "res-cae", "res-cae-adapted", how)]
    assert "+0.220 +- 0.010 dB on 5 held out" in out[0]
    assert out[-1] == "use it: geoae restore --model res-cae-adapted scene.tif"
    code, out, err = geoae("adapt", str(tmp_path), "-o", "other")
    assert (code, out, len(err)) == (1, [], 1)
    assert "0.4000" in err[0]
    assert "0.3800" in err[0]


def test_adapt_refuses_in_one_line(geoae, tmp_path):
    for words in (("missing",), (str(tmp_path), "--steps", "0")):
        code, out, err = geoae("adapt", *words)
        assert (code, out, len(err)) == (1, [], 1)
