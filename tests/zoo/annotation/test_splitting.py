"""Cuts along lines: what is on either side, whatever the line's slope."""

import numpy as np
import pytest

from samzoo.runtime.errors import InputError
from samzoo.zoo.annotation.splitting import line_mask, split


def disc(side=41, radius=15):
    rows, columns = np.mgrid[:side, :side]
    return (np.hypot(rows - side // 2, columns - side // 2) <= radius).astype(np.int32)


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 13))
def test_a_disc_is_cut_in_halves_along_its_diameter(angle):
    labels = disc() * 7
    ends = [(20.5 + s * 30 * np.cos(angle), 20.5 + s * 30 * np.sin(angle)) for s in (-1, 1)]
    after, pieces = split(labels, 7, ends)
    assert pieces == [7, 8]
    np.testing.assert_array_equal(after > 0, labels > 0)
    small, large = sorted((after == each).sum() for each in pieces)
    assert (after == 7).sum() == large
    assert small > 0.8 * large  # the line's own pixels lie on one side
    rows, columns = np.nonzero(after)
    side = (columns + 0.5 - 20.5) * np.sin(angle) - (rows + 0.5 - 20.5) * np.cos(angle)
    for sign in (-1, 1):  # two pixels and more from the line, every pixel is of one piece
        assert len(np.unique(after[rows, columns][sign * side > 2])) == 1


def test_other_objects_and_parts_that_the_line_misses_stay():
    labels = np.zeros((10, 30), np.int32)
    labels[2:8, 2:12] = 3
    labels[2:8, 14:18] = 3  # another part of it
    labels[2:8, 20:28] = 5
    after, pieces = split(labels, 3, [(7, -5), (7, 50)])
    assert pieces == [3, 6]
    assert (after[2:8, 14:18] == 3).all()
    np.testing.assert_array_equal(after == 5, labels == 5)
    assert set(np.unique(after[2:8, 2:12])) == {3, 6}


def test_a_line_through_a_ring_cuts_it_only_if_it_leaves_it_twice():
    ring = disc() - disc(radius=8)
    with pytest.raises(InputError, match="object 1: the line does not cut it in two"):
        split(ring, 1, [(20.5, 20.5), (20.5, 60)])
    after, pieces = split(ring, 1, [(20.5, -9), (20.5, 60)])
    assert len(pieces) == 2
    np.testing.assert_array_equal(after > 0, ring > 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [([(0, 0)], "two points"), ([(0, 0), (float("nan"), 1)], "finite"),
     ([(0, 0), (1e30, 1)], "finite"), ([(-100, -100), (-50, -60)], "does not cut"),
     ([(0, 20), (20, 20)], "across the whole object")],
)  # fmt: skip
def test_lines_that_cut_nothing_are_told(line, message):
    with pytest.raises(InputError, match=message):
        split(disc(), 1, line)


def test_a_corner_that_a_slanted_line_cuts_off_is_no_object():
    labels = np.ones((12, 12), np.int32)
    with pytest.raises(InputError, match="does not cut"):
        split(labels, 1, [(-1, 3), (3, -1)])


def test_a_long_line_is_drawn_in_the_window_alone():
    mask = line_mask([(-1e6, 5.5), (1e6, 5.5)], (0, 0, 10, 10))
    assert mask[5].all()
    assert mask.sum() == 10
