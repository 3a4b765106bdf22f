"""The row of a model: its scores on test images, whatever free fields hold."""

import dataclasses

import pytest

from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.packages.summary import summarise

BOX = {"box": {"msa": 0.5}}


def manifest(folder, evaluations, **fields):
    found = Manifest.read(folder)
    return dataclasses.replace(found, metrics={"evaluations": evaluations}, **fields)


def test_scores_are_those_of_the_first_test_and_say_on_what(toy_package):
    row = summarise(
        manifest(
            toy_package,
            [
                {"subject": "a control", "data": "x", "scores": {"box": {"msa": 0.9}}},
                {"subject": "this model", "split": "val", "data": "x", "scores": BOX},
                {"subject": "this model", "split": "test", "data": "cells", "scores": {
                    "box": {"msa": 0.4}, "ais": {"msa": float("nan")}, "box fill": {"msa": 0.3},
                }},
                {"subject": "this model", "split": "test", "data": "others", "scores": BOX},
            ],
        )
    )  # fmt: skip
    assert (row.scores, row.tested_on) == ({"box": 0.4}, "cells")


@pytest.mark.parametrize("value", [None, "text", [3], [{"scores": 1}], [{"scores": {"box": 2}}]])
def test_a_model_without_usable_scores_has_none(toy_package, value):
    row = summarise(manifest(toy_package, value))
    assert (row.scores, row.tested_on) == ({}, "")


def test_adapters_have_rows_with_their_own_scores(tmp_path, make_shared_package):
    own = {"evaluations": [{"subject": "this model", "data": "dark cells", "scores": BOX}]}
    folder = make_shared_package(
        tmp_path / "toys", entries={"dark": {"segments": "dark cells", "metrics": own}}
    )
    of_package = {"subject": "the adapter bright", "data": "bright", "scores": BOX}
    dark, bright = summarise(manifest(folder, [of_package])).adapters
    assert (dark.name, dark.segments, dark.scores, dark.tested_on) == (
        "dark", "dark cells", {"box": 0.5}, "dark cells",
    )  # fmt: skip
    assert (bright.name, bright.tested_on) == ("bright", "bright")


def test_a_package_with_one_adapter_is_that_model(tmp_path, make_shared_package):
    own = {"evaluations": [{"subject": "this model", "data": "dark cells", "scores": BOX}]}
    entry = {"segments": "dark cells", "license": "MIT", "metrics": own}
    folder = make_shared_package(tmp_path / "toys", gains={"dark": 0.5}, entries={"dark": entry})
    row = summarise(Manifest.read(folder))
    assert (row.segments, row.license, row.scores) == ("dark cells", "MIT", {"box": 0.5})
    assert (row.tested_on, row.adapters) == ("dark cells", ())
