"""Simulated prompts: how many, where they lie, and which rounds learn."""

import numpy as np
import pytest
import tiny

from samzoo.runtime.evaluation.prompt_simulation import object_boxes
from samzoo.training.learning.simulated_prompts import (
    InteractiveSettings,
    corrections,
    distorted_boxes,
    first_prompts,
    learned_rounds,
)

IDS = [1, 4, 6]


@pytest.fixture(scope="module")
def labels():
    return tiny.make_cells((60, 64))[1]


def drawn(labels, seed, *, box=False, first_points=3):
    settings = InteractiveSettings(8, 0.5, 0.025, first_points=first_points)
    return first_prompts(labels, IDS, settings, np.random.default_rng(seed), with_box=box)


@pytest.mark.parametrize("box", [False, True])
def test_a_first_prompt_has_up_to_so_many_points(labels, box):
    counts, kinds = set(), []
    for seed in range(60):
        boxes, coords, point_labels = drawn(labels, seed, box=box)
        assert (boxes is not None) is box
        assert coords.shape == (*point_labels.shape, 2)
        assert coords.dtype == point_labels.dtype == np.float32
        counts.add(coords.shape[1])
        if not box:
            assert (point_labels[:, 0] == 1).all()
        kinds.extend(point_labels[:, 0 if box else 1 :].ravel())
        for i, points, marks in zip(IDS, coords, point_labels, strict=True):
            for (x, y), mark in zip(points.astype(int), marks, strict=True):
                assert (labels[y, x] == i) == (mark == 1)
    assert counts == ({0, 1, 2} if box else {1, 2, 3})
    assert 0.2 < np.mean(np.array(kinds) == 0) < 0.4


@pytest.mark.parametrize("box", [False, True])
def test_single_prompts_draw_the_same_numbers_as_before(labels, box):
    boxes, coords, _ = drawn(labels, 5, box=box, first_points=1)
    rng = np.random.default_rng(5)
    if box:
        assert boxes is not None
        assert coords.shape == (3, 0, 2)
        expected = distorted_boxes(object_boxes(labels, IDS), 0.025, labels.shape, rng)
        np.testing.assert_array_equal(boxes, expected)
        return
    for i, (x, y) in zip(IDS, coords[:, 0].astype(int), strict=True):
        chosen = rng.choice(np.flatnonzero(labels == i), size=1, replace=False)[0]
        assert (y, x) == divmod(int(chosen), labels.shape[1])


def test_an_object_that_fills_what_is_annotated_gets_positive_points_alone():
    labels = np.full((8, 8), -1, np.int32)
    labels[:, :4] = 2
    settings = InteractiveSettings(8, 0.5, 0.025, first_points=4)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        _, coords, point_labels = first_prompts(labels, [2], settings, rng, with_box=False)
        assert (point_labels == 1).all()
        assert (coords[..., 0] < 4).all()


@pytest.mark.parametrize(("rounds", "count"), [(8, 4), (6, 3), (4, 2), (3, 1)])
def test_the_first_round_and_the_last_learn_and_others_by_chance(rounds, count):
    settings = InteractiveSettings(rounds, 0.5, 0.025, learned_rounds=count)
    found = [learned_rounds(settings, np.random.default_rng(seed)) for seed in range(60)]
    assert all(len(each) == count and 0 in each for each in found)
    assert all(rounds - 1 in each for each in found) is (count > 1)
    assert set().union(*found) == (set(range(rounds)) if count != 2 else {0, rounds - 1}) or (
        count == 1
    )


def test_all_rounds_learn_without_a_choice():
    assert learned_rounds(InteractiveSettings(3, 0.5, 0.0), np.random.default_rng(0)) == {0, 1, 2}


def test_corrections_are_a_pair_for_each_object(labels):
    truths = np.stack([labels == i for i in IDS])
    nothing = np.zeros_like(truths)
    coords, kinds = corrections(truths, nothing, labels < 0, np.random.default_rng(0))
    assert coords.shape == (3, 2, 2)
    assert kinds.tolist() == [[1, 0]] * 3
    for i, (inside, outside) in zip(IDS, coords.astype(int), strict=True):
        assert labels[inside[1], inside[0]] == i
        assert labels[outside[1], outside[0]] != i


@pytest.mark.parametrize("factor", [0.0, 0.025, 0.49])
def test_distorted_boxes_stay_inside_and_near(rng, factor, labels):
    ids = np.unique(labels)[1:]
    boxes = object_boxes(labels, ids)
    boxes[0] = (0, 0, 64, 60)  # the whole image
    moved = distorted_boxes(boxes, factor, labels.shape, rng)
    assert moved.dtype == np.float32
    assert (moved >= 0).all()
    assert (moved <= np.array([64, 60, 64, 60])).all()
    assert (moved[:, :2] < moved[:, 2:]).all()
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    rounding = 1e-5  # float32 at coordinates below 64
    assert (np.abs(moved - boxes) <= factor * sides + rounding).all()
    if factor == 0:
        np.testing.assert_array_equal(moved, boxes)


def test_no_boxes_stay_no_boxes(rng):
    assert distorted_boxes(np.zeros((0, 4), np.float32), 0.1, (8, 8), rng).shape == (0, 4)
