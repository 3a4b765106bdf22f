"""Matches of objects: against StarDist's own counts, and by hand."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.errors import ShapeError
from samzoo.runtime.evaluation.matching import IOU_PERCENT, average_precision, match_objects


def squares(*corners, side=4, shape=(12, 24)):
    labels = np.zeros(shape, np.int32)
    for index, (row, column) in enumerate(corners):
        labels[row : row + side, column : column + side] = index + 1
    return labels


def test_counts_equal_those_of_stardist(golden):
    """The golden holds two label images and what stardist 0.9.2 counts for both together."""
    known = golden("stardist_matching")
    matches = [
        match_objects(found, truth)
        for found, truth in zip(known["labels"], known["truths"], strict=True)
    ]
    for name in ("tp", "fp", "fn"):
        summed = np.sum([getattr(each, name) for each in matches], axis=0)
        np.testing.assert_array_equal(summed, known[name])
    found = average_precision(matches)
    for percent, accuracy in zip(IOU_PERCENT, known["accuracy"], strict=True):
        assert found[f"ap{percent}"] == pytest.approx(accuracy)
    assert found["ap"] == pytest.approx(known["accuracy"].mean())


def test_counts_by_hand():
    truth = squares((0, 0), (0, 6), (0, 12))
    labels = squares((0, 0), (0, 7), (7, 12))  # equal, 12 of 20 pixels, nowhere near
    found = match_objects(labels, truth)
    assert found.tp == (2, 2, 2, 1, 1, 1, 1, 1, 1, 1)
    assert found.fp == found.fn == tuple(3 - each for each in found.tp)
    assert found.ious == (1.0, 0.6, 0.0)


def test_ious_are_in_the_order_of_ids_whatever_is_not_annotated():
    truth = squares((0, 0), (0, 6)) * 10
    labels = np.where(truth == 20, 5, 0)
    assert match_objects(labels, truth).ious == (0.0, 1.0)
    truth[11] = -1
    assert match_objects(labels, truth).ious == (0.0, 1.0)
    assert match_objects(labels, np.where(truth == 0, 30, truth)).ious == (0.0, 1.0, 0.0)


def test_each_object_weighs_the_same_in_a_set():
    one = match_objects(squares((0, 0)), squares((0, 0)))
    none = match_objects(squares(), squares((0, 0), (0, 6), (0, 12)))
    false = match_objects(squares((0, 0)), squares())
    assert average_precision([one, none])["ap50"] == pytest.approx(1 / 4)
    assert average_precision([one, false])["ap"] == pytest.approx(1 / 2)
    assert average_precision([match_objects(squares(), squares())])["ap75"] == 1.0


def test_nothing_is_found_in_empty_images():
    found = match_objects(squares(), squares())
    assert set(dataclasses.asdict(found)) == {"tp", "fp", "fn", "ious"}
    assert (found.tp, found.ious) == ((0,) * 10, ())


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="same shape"):
        match_objects(squares(), squares(shape=(12, 25)))
