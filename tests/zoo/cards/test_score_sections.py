"""The scores on a card: every number of a report has a place, and controls stand beside."""

import pytest

from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cards.score_sections import score_lines


def scores(value):
    return {"msa": value, "sa50": value, "sa75": value, "dice": value, "ap50": value, "ap": value}


def entry(subject="this model", value=0.5, **fields):
    return {
        "subject": subject, "data": "cells", "split": "test", "n_objects": 40, "n_images": 6,
        "n_groups": 3, "n_left_out": 0, "note": "", "command": "samzoo evaluate -o r.json",
        "scores": {"ais": scores(value), "box": scores(0.9), "otsu": scores(0.3),
                   "li_watershed": scores(0.4), "box_fill": scores(0.6)},
        "ap": {"ais": {"ap50": 0.7, "ap95": 0.1, "ap": 0.4}}, "intervals": {}, "strata": {},
        "orientations": {}, "corrections": {}, "speed": {}, **fields,
    }  # fmt: skip


@pytest.fixture
def lines(toy_config):
    def lines(*entries):
        metrics = {"evaluations": list(entries)}
        return score_lines(Manifest(name="toy", model=toy_config(), files=(), metrics=metrics))

    return lines


def test_at_a_glance_a_score_stands_with_its_interval_beside_controls_and_other_models(lines):
    found = lines(
        entry(intervals={"ais": {"msa": [0.4, 0.6]}}),
        entry("LiteMedSAM | zero-shot", 0.1),
        entry(data="others"),
    )
    assert "### cells, test" in found
    assert found.count("6 images in 3 groups, 40 objects.") == 2
    head = "| this model | mSA (95 %) | AP at IoU 0.50 (95 %) | Dice (95 %) | best control, mSA |"
    assert f"{head} LiteMedSAM \\| zero-shot, mSA |" in found
    row = "| automatic (`ais`) | 0.500 (0.400 to 0.600) | 0.500 | 0.500 |"
    assert f"{row} li_watershed 0.400 | 0.100 |" in found
    assert "| one box (`box`) | 0.900 | 0.900 | 0.900 | box_fill 0.600 |" in found
    assert "**LiteMedSAM \\| zero-shot**" in found
    assert found.index("### cells, test") < found.index("### others, test")


def test_everything_that_a_report_knows_is_told(lines):
    stratum = {"n_images": 2, "n_groups": 1, "n_objects": 9, "scores": {"ais": scores(0.2)},
               "intervals": {}}  # fmt: skip
    found = "\n".join(lines(entry(
        note="By hand.", n_left_out=2, strata={"dense": stratum}, curve="pictures/c.png",
        orientations={"msa": {"mean": 0.5, "low": 0.45, "high": 0.55, "spread": 0.08}},
        corrections={"ip": [{"msa": 0.3}, {"msa": 0.6}], "ib": [{"msa": 0.7}] * 3},
        speed={"seconds_per_megapixel": 1.234, "threads": 2},
    )))  # fmt: skip
    for text in (
        "40 objects; 2 of the annotated images could not be read and are left out.",
        "By hand.",
        "![mSA by the number of corrections](pictures/c.png)",
        "| corrections | 0 | 1 | 2 |",
        "| mSA, one point, then corrections (`ip`) | 0.300 | 0.600 | - |",
        "automatic mSA lies between 0.450 and 0.550; in one image it differs by 0.080 on average.",
        "| kind of image | images | groups | objects | automatic, mSA (95 %) | one box, mSA",
        "| dense | 2 | 1 | 9 | 0.200 | - |",
        "took 1.2 s a megapixel (median over images, 2 threads)",
        "| AP at IoU | 0.50 | 0.55 |",
        "| ais | 0.700 | - | - | - | - | - | - | - | - | 0.100 | 0.400 |",
        "Command: `samzoo evaluate -o r.json`",
    ):
        assert text in found, text


def test_a_model_below_a_control_is_told(lines):
    told = "The model does not beat the control li_watershed in the task ais: msa 0.350 against"
    assert told in "\n".join(lines(entry(value=0.35)))


def test_older_entries_keep_their_form_and_nothing_is_nothing(lines):
    assert lines() == []
    old = {"data": "d", "split": "s", "scores": {"ais": {"msa": 0.5}}}
    assert lines(old)[3] == "**this model** on d, s (? objects)."
