"""Masks that are cut out, packed, measured and merged."""

from typing import Any

import numpy as np
import pytest

from samzoo.runtime.automatic.candidates import Candidate, measure, merge_candidates
from samzoo.runtime.prompts.enlargement import Enlargement

SCORES: dict[str, Any] = {"predicted_iou": 0.5, "stability_score": 0.5, "point": (0.0, 0.0)}


def made(image):
    one = Candidate.of(image, 0, 0, **SCORES)
    assert one is not None
    return one


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (16, 9)])
def test_a_mask_comes_back_from_its_tight_box(rng, shape):
    image = np.zeros((30, 20), np.bool_)
    image[5 : 5 + shape[0], 2 : 2 + shape[1]] = rng.random(shape) > 0.5
    image[5, 2] = image[4 + shape[0], 1 + shape[1]] = True
    one = made(image)
    assert one.box == (2, 5, 1 + shape[1], 4 + shape[0])
    assert one.area == image.sum()
    np.testing.assert_array_equal(one.full((30, 20)), image)


def test_an_empty_mask_is_no_candidate():
    assert Candidate.of(np.zeros((4, 4), np.bool_), 0, 0, **SCORES) is None


def test_stability_is_the_iou_of_a_higher_and_a_lower_threshold():
    logits = np.full((8, 8), -5, np.float32)
    logits[2:6, 2:6] = -0.5
    logits[3:5, 3:5] = 0.5
    logits[3, 3] = 2
    enlargement = Enlargement.between(8, 8, (8, 7), (8, 7))
    arguments: dict[str, Any] = {"origin": (10, 20), "predicted_iou": 0.9, "point": (1.0, 2.0)}
    one = measure(logits, enlargement, **arguments)
    assert one is not None
    assert (one.row, one.column, one.shape, one.area) == (13, 23, (2, 2), 4)
    assert one.stability_score == pytest.approx(1 / 16)
    finer = measure(logits, enlargement, stability_score_offset=0.25, **arguments)
    assert finer is not None
    assert finer.stability_score == 1
    assert measure(logits, enlargement, stability_score_thresh=0.1, **arguments) is None
    assert measure(logits - 9, enlargement, **arguments) is None


def nested():
    outer, inner = np.zeros((2, 20, 20), np.bool_)
    outer[2:12, 2:12] = True
    inner[4:7, 4:7] = True
    return [made(inner), made(outer)]


def test_smaller_masks_lie_on_top_or_give_way():
    on_top = merge_candidates(nested(), (20, 20), exclusively=False, with_background=False)
    assert on_top.dtype == np.int32
    assert (on_top[5, 5], on_top[3, 3], on_top.max()) == (2, 1, 2)
    under = merge_candidates(nested(), (20, 20), exclusively=True, with_background=False)
    assert (under[5, 5], under.max()) == (1, 1)


def test_the_largest_segment_is_dropped_only_if_it_is_the_background():
    labels = merge_candidates(nested(), (20, 20), exclusively=False, with_background=True)
    assert labels.max() == 2  # what no mask covers is larger
    ground = np.ones((20, 20), np.bool_)
    ground[2:12, 2:12] = False
    labels = merge_candidates(
        [*nested(), made(ground)], (20, 20), exclusively=False, with_background=True
    )
    assert labels.max() == 2
    assert labels[15, 15] == 0


def test_what_a_mask_cuts_in_two_becomes_two_objects_and_small_ones_go():
    bar, across = np.zeros((2, 20, 20), np.bool_)
    bar[2:6] = True
    across[0:8, 9] = True
    both = [made(bar), made(across)]
    labels = merge_candidates(both, (20, 20), exclusively=False, with_background=False)
    assert labels.max() == 3
    labels = merge_candidates(both, (20, 20), exclusively=False, with_background=False, min_size=9)
    assert labels.max() == 1  # what is too small cuts nothing
    labels = merge_candidates(both, (20, 20), exclusively=False, with_background=False, min_size=8)
    assert labels.max() == 3
    nothing = merge_candidates([], (20, 20), exclusively=True, with_background=True)
    assert not nothing.any()
