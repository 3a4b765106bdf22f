"""``samzoo card``: texts, scores and pictures enter the card, and the package stays whole."""

import json

import pytest

from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cards.card_template import filled_template


@pytest.fixture
def reports(run, image, tmp_path):
    """Two reports of the toy model, ``a.json`` and ``b.json``."""
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    for name in ("a.json", "b.json"):
        words = ("evaluate", "--images", image, "--labels", labels, "--tasks", "ais")
        assert run(*words, "-o", tmp_path / name)[0] == 0
    return tmp_path


def test_a_report_enters_the_card_of_its_package(run, reports, toy_package):
    words = ("card", toy_package, "--metrics", reports / "a.json", "--data", "four discs")
    status, _, errors = run(*words, model=False)
    assert status == 0, errors
    card = (toy_package / "README.md").read_text()
    assert "### four discs, all images\n\n1 image, 4 objects." in card
    assert Manifest.read(toy_package).metrics["evaluations"][0]["scores"]["ais"]["ap"] == 1.0


def test_a_file_brings_texts_pictures_and_words_for_several_reports(
    run, reports, toy_package, tmp_path
):
    file, overlay = tmp_path / "card.toml", tmp_path / "overlay.png"
    status, template, _ = run("card", toy_package, "--template", model=False)
    assert (status, template.rstrip("\n")) == (
        0, filled_template(Manifest.read(toy_package)).rstrip("\n"),
    )  # fmt: skip
    run("segment", tmp_path / "cells.tif", "-o", tmp_path / "l.tif", "--overlay", overlay)
    file.write_text(
        template.replace('description = ""', 'description = "Finds discs."') + "\n"
        '[[evaluations]]\nreport = "b.json"\ndata = "other discs"\n'
        '[[evaluations]]\nreport = "a.json"\ndata = "four discs"\n'
        '[[pictures]]\nfile = "overlay.png"\nshows = "use"\ncaption = "Discs"\n'
        'attribution = "Ada, CC0"\n'
    )
    words = ("card", toy_package, "--from", file, "--cover", overlay)
    given = ("--metrics", reports / "a.json", "--metrics", reports / "b.json")
    status, out, errors = run(*words, *given, "--json", model=False)
    assert status == 0, errors
    assert "card.description: missing" not in str(json.loads(out)["missing"])
    manifest = Manifest.read(toy_package)
    found = [entry["data"] for entry in manifest.metrics["evaluations"]]
    assert found == ["other discs", "four discs"]
    card = (toy_package / "README.md").read_text()
    assert f"![Discs]({manifest.pictures[0].path})" in card
    assert manifest.card["cover"] in card
    # The same file without the reports: their scores are in the package by now.
    assert run("card", toy_package, "--from", file, model=False)[0] == 0
    assert Manifest.read(toy_package) == manifest


def test_a_card_that_was_changed_by_hand_is_written_anew_and_told(run, toy_package):
    run("card", toy_package, model=False)
    (toy_package / "README.md").write_text("mine")
    _, _, errors = run("card", toy_package, model=False)
    assert "was not the card of the manifest" in errors
    assert "was not the card" not in run("card", toy_package, model=False)[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--metrics", "a.json"), "nothing says what its images are; pass --data TEXT"),
        (("--metrics", "a.json", "--data", "x", "--data", "y"), "found 2 and 1 of --metrics"),
        (("--metrics", "a.json", "--data", " "), "found an empty text for"),
        (("--from", "card.toml", "--metrics", "a.json", "--data", "x"), "omit --data"),
        (("--from", "none.toml"), "none.toml: no such file; write one with samzoo card"),
        (("--cover", "none.png"), "none.png"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_changes(
    run, reports, toy_package, words, message, monkeypatch
):
    monkeypatch.chdir(reports)
    (reports / "card.toml").write_text('[[evaluations]]\nreport = "a.json"\ndata = "d"\n')
    before = {path: path.read_bytes() for path in toy_package.rglob("*") if path.is_file()}
    status, _, errors = run("card", toy_package, *words, model=False)
    assert (status, message in errors) == (2, True), errors
    assert before == {path: path.read_bytes() for path in toy_package.rglob("*") if path.is_file()}
