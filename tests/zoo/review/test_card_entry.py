"""Scores of a report on a package's card."""

import json

import pytest

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cards.card import render_card
from samzoo.zoo.cards.card_file import ScoreEntry
from samzoo.zoo.review.card_entry import with_scores


@pytest.fixture
def manifest(toy_config):
    return Manifest(name="toy", model=toy_config(), files=(), metrics={"tools": {}})


def with_report(manifest, content, **words):
    entry = ScoreEntry(**{"report": "r.json", "data": "d", **words})
    return with_scores(manifest, {"r.json": content}, [entry], whole=False)


def report(score=0.5, **fields):
    scores = {"ais": score, "otsu": 0.6}
    return {
        "weights_digest": "sha256:toy", "n_objects": 4, "n_images": 2, "n_groups": 2,
        "n_left_out": 0, "command": "samzoo evaluate -o r.json",
        "mean": {task: dict.fromkeys(METRICS, value) for task, value in scores.items()},
        "ap": {task: {"ap50": value, "ap75": value, "ap": value, "ap55": 1}
               for task, value in scores.items()},
        "intervals": {"ais": {"msa": [0.4, 0.6], "sa50": [0, 1], "ap": [0.3, 0.7], "ap55": [0, 1]}},
        "strata": {}, "orientations": {}, "corrections": {}, "speed": {},
        **fields,
    }  # fmt: skip


def test_the_card_shows_scores_intervals_and_the_control_that_wins(manifest):
    found = with_report(manifest, report(), data="my cells")
    assert set(found.metrics) == {"tools", "evaluations"}
    (entry,) = found.metrics["evaluations"]
    assert entry["intervals"] == {"ais": {"msa": [0.4, 0.6], "sa50": [0.0, 1.0], "ap": [0.3, 0.7]}}
    assert (entry["ap"]["ais"]["ap55"], entry["note"]) == (1.0, "")
    card = render_card(found)
    assert "### my cells, all images\n\n2 images, 4 objects." in card
    assert "| automatic (`ais`) | 0.500 (0.400 to 0.600) | 0.500 | 0.500 | otsu 0.600 |" in card
    assert f"| task | {' | '.join(METRICS)} | ap50 | ap75 | ap |" in card
    assert "does not beat the control otsu in the task ais: msa 0.500 against 0.600" in card
    assert "does not beat" not in render_card(with_report(manifest, report(0.7), data="my cells"))


def test_all_of_a_report_is_kept(manifest):
    stratum = {"n_images": 1, "n_groups": 1, "n_objects": 2, "intervals": {}, **{
        key: report()[key] for key in ("mean", "ap")
    }}  # fmt: skip
    full = report(
        strata={"dense": stratum}, orientations={"msa": {"low": 0, "high": 1}},
        corrections={"ip": [{"msa": 0}, {"msa": 1}]}, speed={"seconds_per_megapixel": 2},
    )  # fmt: skip
    (entry,) = with_report(manifest, full).metrics["evaluations"]
    assert entry["strata"]["dense"]["n_objects"] == 2
    assert entry["strata"]["dense"]["scores"]["ais"]["ap50"] == 0.5
    assert entry["corrections"] == {"ip": [{"msa": 0.0}, {"msa": 1.0}]}
    assert entry["speed"] == {"seconds_per_megapixel": 2.0}
    assert json.loads(json.dumps(entry)) == entry


def test_newer_scores_on_the_same_data_and_part_replace_older_ones(manifest):
    for score, part in ((0.1, "test"), (0.2, "val"), (0.3, "test")):
        manifest = with_report(manifest, report(score, part=part), data="d")
    kept = manifest.metrics["evaluations"]
    assert [(each["split"], each["scores"]["ais"]["msa"]) for each in kept] == [
        ("val", 0.2), ("test", 0.3),
    ]  # fmt: skip


def test_of_several_models_the_packages_own_is_taken(manifest):
    both = {"models": [report(0.1, weights_digest="sha256:other"), report(0.4)]}
    (entry,) = with_report(manifest, both, data="d").metrics["evaluations"]
    assert entry["scores"]["ais"]["msa"] == 0.4


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"weights_digest": "sha256:other"}, InputError, "is about the weights sha256:other"),
        ({"mean": {"ais": {"msa": "high"}}}, FormatError, "not as samzoo evaluate writes them"),
        ({"intervals": {"ais": 3}}, FormatError, "not as samzoo evaluate writes them"),
    ],
)
def test_other_reports_are_refused(manifest, changed, error, message):
    with pytest.raises(error, match=message):
        with_report(manifest, report(**changed), data="d")


def test_a_report_of_an_older_version_is_refused(manifest):
    old = report()
    del old["ap"]
    with pytest.raises(FormatError, match="has no field 'ap'"):
        with_report(manifest, json.loads(json.dumps(old)), data="d")


def test_the_file_of_the_card_decides_what_is_shown_and_in_which_order(manifest):
    for data in ("a", "b", "c"):
        manifest = with_report(manifest, report(), data=data)
    entries = [ScoreEntry(data="c", note="best"), ScoreEntry(data="a", split="all images")]
    found = with_scores(manifest, {}, entries, whole=True).metrics["evaluations"]
    assert [each["data"] for each in found] == ["c", "a"]
    assert found[0]["note"] == "best"
    with pytest.raises(InputError, match="the package has no such scores"):
        with_scores(manifest, {}, [ScoreEntry(data="z")], whole=True)


def test_another_model_stands_beside_under_a_name_of_its_own(manifest):
    both = {"models": [report(0.1, weights_digest="sha256:a", model="zero"), report(model="own")]}
    found = with_report(manifest, both, subject="the base", model="zero").metrics["evaluations"]
    assert [(each["subject"], each["scores"]["ais"]["msa"]) for each in found] == [
        ("the base", 0.1)
    ]
    with pytest.raises(InputError, match="has 2 models; name that of 'the base'"):
        with_report(manifest, both, subject="the base")
    with pytest.raises(InputError, match="has no model 'x', only zero, own"):
        with_report(manifest, both, subject="the base", model="x")
    with pytest.raises(InputError, match="is about the weights sha256:a"):
        with_report(manifest, both, subject="this model", model="zero")


def test_a_report_without_words_and_a_name_for_two_are_refused(manifest):
    with pytest.raises(InputError, match="nothing says what its images are; pass --data TEXT"):
        with_scores(manifest, {"x/r.json": report()}, [], whole=False)
    two = {"x/r.json": report(), "y/r.json": report()}
    with pytest.raises(InputError, match=r"fits x/r\.json and y/r\.json"):
        with_scores(manifest, two, [ScoreEntry(report="r.json", data="d")], whole=False)
