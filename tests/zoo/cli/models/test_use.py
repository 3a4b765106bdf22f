"""``samzoo use``: the model that runs without ``--model``."""

import json
import shutil

import pytest

from samzoo.zoo.hub.default_choice import DEFAULT_MODEL


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/samzoo/default-model"


def test_it_prints_the_shipped_default(run):
    assert run("use", model=False) == (0, f"{DEFAULT_MODEL}\n", "")


def test_segment_obeys_the_choice_and_says_so(run, run_here, image, toy_package, settings):
    _, expected, _ = run("segment", image, "-o", "named.tif", "--json")
    assert run_here("use", toy_package) == (0, f"{toy_package}\n", "")
    assert settings.read_text() == f"{toy_package}\n"
    status, out, err = run_here("segment", image, "-o", "labels.tif", "--json")
    assert (status, err) == (0, f"samzoo: model {toy_package}, which samzoo use chose\n")
    assert json.loads(out)["model"] == str(toy_package)
    assert json.loads(out)["images"][0]["objects"] == json.loads(expected)["images"][0]["objects"]


def test_evaluate_and_a_named_model_are_told_apart(run_here, two_discs, toy_package):
    run_here("use", toy_package)
    shutil.copy("cells.tif", "truth.tif")
    words = ("evaluate", "--images", "cells.tif", "--labels", "truth.tif", "--tasks", "box")
    _, _, err = run_here(*words, "-o", "r.json", "--split-components")
    assert f"model {toy_package}, which samzoo use chose" in err
    _, _, err = run_here("segment", "cells.tif", "-o", "l.tif", "--model", toy_package)
    assert "samzoo use" not in err


def test_list_marks_the_default(run_here, toy_package):
    _, out, _ = run_here("list")
    assert "MB, installed, default" in out
    run_here("use", toy_package)
    _, out, _ = run_here("list", "--json")
    assert json.loads(out)["default"] == str(toy_package)
    _, out, _ = run_here("list")
    assert ", default" not in out


def test_a_relative_folder_is_stored_whole_and_the_shipped_name_forgets_it(
    run_here, toy_package, monkeypatch, settings
):
    monkeypatch.chdir(toy_package.parent)
    status, out, _ = run_here("use", toy_package.name)
    assert (status, out) == (0, f"{toy_package}\n")
    assert run_here("use", DEFAULT_MODEL)[:2] == (0, f"{DEFAULT_MODEL}\n")
    assert not settings.exists()


def test_an_unknown_model_changes_nothing(run_here, settings):
    status, _, err = run_here("use", "nuclie")
    assert status == 2
    assert "'nuclie': neither a package folder" in err
    assert not settings.exists()


def test_a_choice_that_is_gone_says_who_chose_it(run_here, image, settings):
    settings.parent.mkdir(parents=True)
    settings.write_text("/gone/package\n")
    status, _, err = run_here("segment", image, "-o", "labels.tif")
    assert status == 2
    assert "samzoo use chose it" in err
    assert str(settings) in err
