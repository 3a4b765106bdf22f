"""Choices among images in groups: each group counts alike."""

from collections import Counter

import numpy as np
import pytest

from samzoo.training.data.groups import GroupedChoices, share_of

ITEMS = [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1), (3, 1), (3, 2)]
"""Items of four images."""

DRAWS = 20_000


def shares(groups, weights=(1, 1, 1, 1)):
    choices = GroupedChoices(ITEMS, groups, weights)
    rng = np.random.default_rng(0)
    counts = Counter(choices.draw(rng) for _ in range(DRAWS))
    return {item: counts[item] / DRAWS for item in ITEMS}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["", "", "", ""], [1 / 7] * 7),
        (["a", "a", "b", "b"], [1 / 12] * 3 + [1 / 4] * 2 + [1 / 8] * 2),
        (["a", "a", "a", "b"], [1 / 18] * 3 + [1 / 6] * 2 + [1 / 4] * 2),
        (["a", "", "", "a"], [1 / 18] * 3 + [1 / 3] * 2 + [1 / 12] * 2),
    ],
)
def test_groups_then_images_then_items_have_equal_chances(groups, expected):
    for share, wanted in zip(shares(groups).values(), expected, strict=True):
        assert share == pytest.approx(wanted, abs=4 * (wanted / DRAWS) ** 0.5)  # 4 sigma


@pytest.mark.parametrize(
    ("groups", "weights", "expected"),
    [
        (["a", "a", "b", "b"], [3, 3, 1, 1], [1 / 8] * 3 + [3 / 8] + [1 / 8] + [1 / 16] * 2),
        (["", "", "", ""], [1, 1, 2, 0.5], [2 / 27] * 3 + [2 / 9, 4 / 9] + [1 / 18] * 2),
        (["a", "", "", "a"], [2, 1, 1, 2], [1 / 12] * 3 + [1 / 4] * 2 + [1 / 8] * 2),
        (["a", "b", "b", "c"], [7, 7, 7, 7], [1 / 9] * 3 + [1 / 6] * 2 + [1 / 6] * 2),
    ],
)
def test_groups_are_drawn_by_their_weights(groups, weights, expected):
    for share, wanted in zip(shares(groups, weights).values(), expected, strict=True):
        assert share == pytest.approx(wanted, abs=4 * (wanted / DRAWS) ** 0.5)  # 4 sigma


def test_two_sets_of_different_size_count_as_they_are_weighted():
    items = [(image, 0) for image in range(92 + 14)]
    groups = [str(image) for image in range(92 + 14)]
    weights = [1.0] * 92 + [92 / 14] * 14  # 92 fields of fluorescence, 14 of histology
    choices = GroupedChoices(items, groups, weights)
    rng = np.random.default_rng(0)
    second = np.mean([choices.draw(rng)[0] >= 92 for _ in range(DRAWS)])
    assert second == pytest.approx(0.5, abs=4 * 0.5 / DRAWS**0.5)


def test_without_groups_one_number_is_drawn_as_it_was_before_there_were_groups():
    ours, theirs = np.random.default_rng(3), np.random.default_rng(3)
    choices = GroupedChoices(ITEMS, [""] * 4, [1] * 4)
    drawn = [choices.draw(ours) for _ in range(9)]
    assert drawn == [ITEMS[theirs.integers(len(ITEMS))] for _ in range(9)]


def test_a_group_of_which_no_item_is_left_is_never_drawn():
    choices = GroupedChoices([(1, 5)], ["a", "b"], [1, 9])
    assert choices.draw(np.random.default_rng(0)) == (1, 5)


def test_shares_count_groups_by_weight():
    assert share_of([0], ["a", "b", "b"], [3, 1, 1]) == 0.75
    assert share_of([1], ["a", "b", "b"], [3, 1, 1]) == 0.125


def test_shares_count_each_group_alike():
    assert share_of([], ["", ""], [1, 1]) == 0
    assert share_of([1], ["", ""], [1, 1]) == 0.5
    assert share_of([0, 1], ["a", "b", "b"], [1, 1, 1]) == 0.75
    assert share_of([], [], []) == 0
