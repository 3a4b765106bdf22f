"""Models in words: a row each, that is a line whatever a stranger wrote."""

import dataclasses

from samzoo.zoo.packages.summary import AdapterSummary, Summary
from samzoo.zoo.reports.models_listing import ListedModel, model_table, pull_hints

PLAIN = Summary(
    segments="nuclei", base="b", method="lora", megabytes=42.4, license="MIT",
    scores={"ais": 0.7326, "point": 0.605, "ip": 0.9}, tested_on="cells",
)  # fmt: skip


def lines(*models):
    return model_table(models).splitlines()


def test_a_row_says_what_how_well_how_large_and_where():
    header, row = lines(ListedModel(name="a", place="samzoo", summary=PLAIN))
    assert "mSA" in header
    assert " ".join(row.split()) == ("a nuclei automatic 0.73, click 0.60 42 MB, installed cells")


def test_missing_scores_and_texts_are_said():
    empty = dataclasses.replace(PLAIN, scores={}, segments="", tested_on="", megabytes=0.25)
    row = lines(ListedModel(name="a", place="https://x/i.json", summary=empty))[1]
    assert " ".join(row.split()) == "a ? not measured 0.2 MB, not downloaded"


def test_a_shared_package_has_a_row_for_each_adapter():
    adapters = tuple(
        AdapterSummary(name=name, segments=name, license="", scores=scores)
        for name, scores in (("dark", {"box": 0.5}), ("bright", {}))
    )
    shared = dataclasses.replace(PLAIN, scores={}, adapters=adapters)
    rows = lines(ListedModel(name="toys", place="cache", summary=shared))[1:]
    assert [" ".join(row.split()) for row in rows] == [
        "toys nuclei 42 MB, downloaded cells",
        "toys --adapter dark dark box 0.50 in it",
        "toys --adapter bright bright not measured in it",
    ]


def test_texts_of_strangers_stay_in_their_cell():
    hostile = dataclasses.replace(PLAIN, segments="a\nb\x1b]0;c\x07", tested_on="x" * 1000)
    found = lines(ListedModel(name="a", place="cache", summary=hostile))
    assert len(found) == 2
    assert "\x1b" not in found[1]
    assert len(found[1]) < 250


def test_the_answer_has_numbers_and_every_field():
    facts = ListedModel(name="a", place="cache", summary=PLAIN).facts()
    assert facts["scores"]["ais"] == 0.7326
    assert (facts["from"], facts["adapters"], facts["tested_on"]) == ("cache", [], "cells")


def test_only_models_that_are_not_here_have_a_hint():
    here = ListedModel(name="a", place="cache", summary=PLAIN)
    away = ListedModel(name="b", place="https://x/i.json", summary=PLAIN)
    assert pull_hints([here]) == []
    assert "samzoo pull b" in pull_hints([here, away])[0]


def test_the_default_is_marked():
    here = [ListedModel(name=name, place="samzoo", summary=PLAIN) for name in ("a", "b")]
    _, first, second = model_table(here, default="b").splitlines()
    assert ", default" not in first
    assert "42 MB, installed, default" in second
