"""Sentences on controls that a model does not beat."""

from samzoo.runtime.evaluation.verdict import about_controls


def test_a_better_model_needs_no_sentence():
    better = {"msa": 0.6, "ap": 0.5}
    assert about_controls({"ais": better, "otsu": {"msa": 0.5, "ap": 0.4}}) == []
    assert about_controls({"point": better, "otsu": better}) == []


def test_each_score_that_is_lost_is_named_with_its_control():
    scores = {
        "ais": {"msa": 0.6, "ap": 0.4}, "box": {"msa": 0.5},
        "otsu": {"msa": 0.5, "ap": 0.41}, "box_fill": {"msa": 0.5},
    }  # fmt: skip
    assert about_controls(scores) == [
        "The model does not beat the control otsu in the task ais: ap 0.400 against 0.410.",
        "The model does not beat the control box_fill in the task box: msa 0.500 against 0.500.",
    ]
