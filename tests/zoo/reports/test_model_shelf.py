"""Models within reach: shipped, pulled, and those that an index has."""

import shutil

import pytest

from samzoo.zoo.cli import main
from samzoo.zoo.downloads import cache
from samzoo.zoo.hub.model_index import write_index
from samzoo.zoo.reports.model_shelf import known_models, models_here


@pytest.fixture
def index(tmp_path, monkeypatch, make_shared_package):
    """A lab's index with a shared package, in an empty cache."""
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    make_shared_package(tmp_path / "lab" / "toys")
    path = tmp_path / "lab" / "index.json"
    write_index([tmp_path / "lab" / "toys"], path)
    monkeypatch.setenv("SAMZOO_INDEX", str(path))
    return path


def test_models_of_an_index_come_with_their_adapters_until_they_are_pulled(index, capsys):
    models, problems = known_models()
    assert problems == []
    toys = next(model for model in models if model.name == "toys")
    assert toys.place == index.as_uri()
    assert [each.name for each in toys.summary.adapters] == ["dark", "bright"]
    assert [model.place for model in models_here()[0]] == ["samzoo"] * len(models_here()[0])
    assert main(["pull", "toys"]) == 0
    capsys.readouterr()
    places = {model.name: model.place for model in known_models()[0]}
    assert places["toys"] == "cache"


def test_what_cannot_be_read_is_told_and_hides_nothing(index, tmp_path):
    bad = cache.model_folder("index--bad--1")
    bad.mkdir(parents=True)
    (bad / "samzoo.json").write_text("{")
    shutil.copy(index, tmp_path / "copy.json")
    index.write_text("{}")
    models, problems = known_models()
    assert models
    assert len(problems) == 2
    assert "samzoo remove index--bad--1" in problems[0]
