"""``samzoo list``."""

import json


def test_list_shows_the_default_model_in_words(run, monkeypatch, tmp_path):
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    status, out, err = run("list", model=False)
    assert (status, err) == (0, "")
    header, *rows = out.splitlines()
    assert header.startswith("model ")
    row = next(row for row in rows if row.startswith("nuclei-vit-t "))
    assert "automatic 0.73, click 0.61, box 0.77" in row
    assert "MB, installed" in row
    status, out, _ = run("list", "--json", model=False)
    models = {row["name"]: row for row in json.loads(out)["models"]}
    assert 0.7 < models["nuclei-vit-t"]["scores"]["ais"] < 0.8
    assert models["nuclei-vit-t"]["tested_on"]


def test_models_of_others_are_listed_on_demand_with_their_source(run):
    status, out, err = run("list", "--others", model=False)
    assert status == 0
    assert "samzoo pull bioimageio:diplomatic-bug" in out
    assert "micro-sam 1.8.14" in err
    assert "bioimageio" not in run("list", model=False)[1]
    found = json.loads(run("list", "--others", "--json", model=False)[1])
    assert len(found["others"]) == 6
