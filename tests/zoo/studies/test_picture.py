"""The picture of a study: a panel for each block, a dot where the score is."""

import numpy as np

from samzoo.runtime.images.overlay import PALETTE
from samzoo.zoo.studies import picture
from samzoo.zoo.studies.picture import draw_study
from samzoo.zoo.studies.results import read_result, table_rows


def drawn(runs):
    results = [found for found in map(read_result, runs) if found is not None]
    return np.asarray(draw_study(table_rows(runs, results)))


def columns_of(pixels, colour):
    """Where a colour is, below the legend."""
    found = (pixels[picture.TOP :] == np.asarray(colour, np.uint8)).all(axis=2)
    return np.flatnonzero(found.any(axis=0))


def test_dots_and_ranges_lie_at_the_scores(runs, finish):
    finish(runs[1], ais=0.5, box=0.9)
    finish(runs[2], ais=0.25, box=0.9)
    pixels = drawn(runs)
    span = picture.WIDTH - picture.LEFT - picture.RIGHT
    ais = columns_of(pixels, PALETTE[0])
    assert abs(ais.min() - (picture.LEFT + 0.25 * span)) <= 2
    assert abs(ais.max() - (picture.LEFT + 0.5 * span)) <= 2
    box = columns_of(pixels, PALETTE[2])
    assert abs(box.mean() - (picture.LEFT + 0.9 * span)) <= 1
    assert np.ptp(box) <= 9


def test_a_study_in_which_nothing_is_done_has_its_names(runs):
    pixels = drawn(runs)
    assert pixels.shape[1] == picture.WIDTH
    assert (pixels < 50).all(axis=2).any()
