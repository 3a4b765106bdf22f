"""Marks on an overlay: the bar is as long as it says, and only the corners change."""

import numpy as np
import pytest

from samzoo.runtime.images.overlay import draw_overlay, write_overlay
from samzoo.runtime.images.overlay_marks import Marks, bar_length, bar_text, draw_marks


def grey(height=400, width=600):
    return np.full((height, width, 3), 90, np.uint8)


def longest_white_run(rows):
    best = 0
    for row in (rows == 255).all(axis=-1):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        best = max(best, *(edges[1::2] - edges[::2]), 0) if len(edges) else best
    return best


@pytest.mark.parametrize(
    ("micrometres", "pixels", "expected"),
    [(0.5, 600, 100), (0.5, 150, 80), (0.004, 600, 125), (30.0, 300, 133)],
)
def test_the_bar_is_as_long_as_it_says(micrometres, pixels, expected):
    drawn = draw_marks(grey(), Marks(objects=3, micrometres=micrometres), pixels=pixels)
    length = bar_length(600 / 4 / (600 / pixels / micrometres))
    assert length * (600 / pixels / micrometres) == pytest.approx(expected, abs=1)
    assert abs(longest_white_run(drawn[-40:]) - expected) <= 3


def test_without_a_pixel_size_there_is_no_bar():
    drawn = draw_marks(grey(), Marks(objects=3), pixels=600)
    changed = (drawn != grey()).any(axis=-1)
    assert changed[-40:, :200].any()
    assert not changed[:-40].any()
    assert not changed[:, 200:].any()


def test_a_small_picture_is_left_as_it_is():
    picture = grey(100, 600)
    assert draw_marks(picture, Marks(objects=1, micrometres=1.0), pixels=600) is picture


def test_lengths_are_round_and_short_to_read():
    lengths = [bar_length(each) for each in (0.99, 1, 1.99, 2, 4.9, 5, 9.9, 10, 100)]
    assert lengths == pytest.approx([0.5, 1, 1, 2, 2, 5, 5, 10, 100])
    assert [bar_text(each) for each in (0.5, 0.999, 1, 999, 1000)] == [
        "500 nm", "999 nm", "1 um", "999 um", "1 mm",
    ]  # fmt: skip


def test_outlines_only_leave_the_inside_as_it_is(tmp_path):
    image = np.arange(600 * 600, dtype=np.float32).reshape(600, 600)
    labels = np.zeros((600, 600), np.int32)
    labels[100:200, 100:200] = 1
    plain = draw_overlay(image, labels * 0)
    drawn = draw_overlay(image, labels, filled=False)
    np.testing.assert_array_equal(drawn[101:199, 101:199], plain[101:199, 101:199])
    assert (drawn[100, 100:200] != plain[100, 100:200]).any(axis=-1).all()
    write_overlay(tmp_path / "a.png", image, labels, filled=False, marks=Marks(objects=1))
