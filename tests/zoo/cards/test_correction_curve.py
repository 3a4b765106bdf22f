"""The picture of how masks improve with corrections."""

import io

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime.formats.manifest import Manifest
from samzoo.runtime.images.overlay import PALETTE
from samzoo.zoo.cards.card_pictures import CURVE, OWN, named_pictures
from samzoo.zoo.cards.correction_curve import draw_curve, score_curves, with_curves


def rounds(*values):
    return [{"msa": value, "dice": 0.9} for value in values]


@pytest.fixture
def manifest(toy_config):
    entry = {"data": "d", "scores": {}, "corrections": {"ip": rounds(0.2, 0.4), "ib": rounds(1, 1)}}
    metrics = {"evaluations": [entry, {"data": "e", "scores": {}}]}
    return Manifest(name="toy", model=toy_config(), files=(), metrics=metrics)


def test_each_evaluation_with_corrections_gets_a_picture(manifest):
    found, added = with_curves(manifest)
    first, second = found.metrics["evaluations"]
    assert (first[CURVE], CURVE in second) == (next(iter(added)), False)
    assert OWN.fullmatch(first[CURVE])
    assert named_pictures(found) == set(added)
    assert with_curves(found) == (found, added)


def test_without_corrections_nothing_changes(manifest):
    bare = Manifest(name="toy", model=manifest.model, files=())
    assert with_curves(bare) == (bare, {})


def test_points_lie_where_the_numbers_are():
    with Image.open(io.BytesIO(draw_curve({"ib": [0.0, 1.0]}))) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    rows, columns = np.nonzero((pixels[40:] == PALETTE[5]).all(axis=2))
    left, right = columns.min(), columns.max()
    assert rows[columns == left].mean() > rows[columns == right].mean() + 200


@pytest.mark.parametrize(
    "found",
    [None, 3, {"ip": 3}, {"ip": [1, 2]}, {"ip": [{"msa": 0.5}]}, {"ip": rounds(0.5, 7)},
     {"ip": rounds(0.5, float("nan"))}, {"ip": rounds(*[0.5] * 1000)}, {"ais": rounds(0, 1)}],
)  # fmt: skip
def test_what_strangers_write_draws_nothing(found):
    assert score_curves({"corrections": found}) == {}
