"""Panels: outlines of truth and prediction, and objects without partner."""

import numpy as np
import pytest

from samzoo.zoo.review.panels import BOTH, FOUND, MOST_ENLARGED, SIDE, TRUTH, draw_panel


def square(row, column, side=10, shape=(40, 60)):
    labels = np.zeros(shape, np.int32)
    labels[row : row + side, column : column + side] = 1
    return labels


def colours(picture):
    return {tuple(each) for each in picture.reshape(-1, 3).tolist()}


def test_equal_outlines_are_green_and_others_have_the_colours_of_the_legend():
    truth = square(5, 5)
    image = truth * 100
    found = colours(draw_panel(image, truth, truth))
    assert BOTH in found
    assert not {TRUTH, FOUND} & found
    assert {TRUTH, FOUND} <= colours(draw_panel(image, truth, square(20, 30)))


def test_objects_without_partner_are_filled():
    truth, labels = square(5, 5), square(5, 6)
    image = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
    plain = draw_panel(image, truth, labels)
    missed = draw_panel(image, truth, square(20, 30))
    middle = (10 * MOST_ENLARGED, 10 * MOST_ENLARGED)
    assert len(set(plain[middle].tolist())) == 1  # grey, as the image
    assert len(set(missed[middle].tolist())) == 3


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((40, 60), (160, 240)),
        ((256, 320), (410, SIDE)),
        ((2000, 1000), (SIDE, 256)),
        ((1, 1), (4, 4)),
    ],
)
def test_pictures_fit_their_page(shape, expected):
    empty = np.zeros(shape, np.int32)
    for image in (empty.astype(np.uint8), np.zeros((*shape, 3), np.uint8)):
        assert draw_panel(image, empty, empty).shape == (*expected, 3)


def test_what_is_not_annotated_is_darker():
    truth = square(5, 5)
    truth[:, 30:] = -1
    picture = draw_panel(np.arange(2400).reshape(40, 60) % 7, truth, truth * 0)
    assert picture[:, 120:].mean() < 0.6 * picture[80:, :120].mean()
