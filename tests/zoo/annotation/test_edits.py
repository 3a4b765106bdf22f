"""Changes of labels, each on arrays that one can see."""

import numpy as np
import pytest

from samzoo.runtime.errors import InputError
from samzoo.zoo.annotation.edits import add, adopt, changed_window, delete, merge, replace

LABELS = np.array([
    [1, 1, 0, 0],
    [1, 1, 0, 3],
    [0, 0, 0, 3],
], np.int32)  # fmt: skip


def part(row, column, *rows):
    return row, column, np.array(rows, bool)


def test_an_added_object_leaves_others_their_pixels_and_gets_the_next_number():
    after, label = add(LABELS, part(1, 1, [1, 1], [1, 1]))
    assert label == 4
    assert after.tolist() == [[1, 1, 0, 0], [1, 1, 4, 3], [0, 4, 4, 3]]
    assert LABELS[1, 2] == 0


def test_an_added_object_may_take_pixels_of_others():
    after, _ = add(LABELS, part(1, 1, [1, 1], [1, 1]), over=True)
    assert after.tolist() == [[1, 1, 0, 0], [1, 4, 4, 3], [0, 4, 4, 3]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [(part(0, 0, [1, 1], [1, 1]), "wholly in other objects (1)"),
     ((0, 0, np.zeros((0, 0), bool)), "mask is empty")],
)  # fmt: skip
def test_a_mask_without_a_free_pixel_is_refused(mask, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        add(LABELS, mask)


def test_a_replaced_object_keeps_its_number_and_loses_its_old_pixels():
    after = replace(LABELS, 3, part(0, 2, [1, 1]))
    assert after.tolist() == [[1, 1, 3, 3], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_deleting_and_merging():
    assert np.unique(delete(LABELS, [1])).tolist() == [0, 3]
    assert np.unique(delete(LABELS, [1, 3])).tolist() == [0]
    merged = merge(LABELS, [3, 1])
    np.testing.assert_array_equal(merged, np.where(LABELS > 0, 1, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: delete(LABELS, [2]), "object 2: is not in the labels; they hold 1, 3"),
        (lambda: delete(np.zeros((2, 2), np.int32), [2]), "they hold no object"),
        (lambda: delete(LABELS, []), "no object is named"),
        (lambda: merge(LABELS, [1, 1]), "two objects or more, found 1 alone"),
        (lambda: replace(LABELS, 0, part(0, 2, [1])), "object 0: is not"),
    ],
)
def test_ids_that_are_not_there_are_told(change, message):
    with pytest.raises(InputError, match=message):
        change()


def test_automatic_labels_replace_all_or_stand_beside_what_is_there():
    found = np.array([
        [0, 0, 2, 2],
        [0, 1, 1, 1],
        [5, 5, 0, 0],
    ], np.int32)  # fmt: skip
    np.testing.assert_array_equal(adopt(LABELS, found, keep=False), found)
    beside = adopt(LABELS, found, keep=True)
    # Of object 1 a third is free, so it is one that is there; 2 and 5 are new, as 4 and 5.
    assert beside.tolist() == [[1, 1, 4, 4], [1, 1, 0, 3], [5, 5, 0, 3]]


def test_no_change_has_no_window():
    assert changed_window(LABELS, LABELS.copy()) is None
