"""The next command is one that parses, with the user's choices."""

import shlex

import numpy as np

from samzoo.zoo.cli.parser import parse
from samzoo.zoo.suggestions.commands import next_command
from samzoo.zoo.suggestions.trials import Trial

LABELS = np.zeros((2, 2), np.int32)


def test_it_names_model_adapter_and_choices():
    line = next_command(
        Trial(model="my models/a", adapter="dark", labels=LABELS), "an image.tif",
        {"diameter": 20.0, "channel": "1", "plane": None},
    )  # fmt: skip
    options = parse(shlex.split(line)[1:]).options
    assert options.images == ("an image.tif",)
    assert (options.model, options.adapter) == ("my models/a", "dark")
    assert (options.diameter, options.channel, options.plane) == (20.0, "1", None)


def test_a_model_that_answers_prompts_only_is_prompted_and_a_failed_one_is_not_used():
    assert next_command(Trial(model="a"), "i.tif", {}) == (
        "samzoo prompt i.tif -o labels.tif --point X Y --model a"
    )
    assert next_command(Trial(model="a", error="x", status=2), "i.tif", {}) == ""
