"""The sheet of the worst validation images."""

import numpy as np
import pytest
import tiny
from PIL import Image

from samzoo.training.fit.worst import (
    BOTH,
    FOUND,
    MOST,
    TRUE,
    WORST,
    Judged,
    outlined,
    worst_sheet,
    write_worst,
)


def judged(score=0.5, shape=(60, 80), name="cells"):
    image, truth = tiny.make_cells(shape, 0)
    return Judged(name, image, truth, np.roll(truth, 3, axis=1), score)


def colours(picture):
    return {tuple(each) for each in picture.reshape(-1, 3)}


def test_true_and_found_outlines_are_told_apart():
    each = judged()
    assert {TRUE, FOUND} <= colours(outlined(each))
    same = outlined(Judged("a", each.image, each.truth, each.truth, 1.0))
    assert BOTH in colours(same)
    assert not {TRUE, FOUND} & colours(same)


@pytest.mark.parametrize("shape", [(60, 80), (64, 1000), (1, 1)])
def test_images_of_all_sizes_fit(shape):
    image = np.zeros((*shape, 3), np.uint8)
    labels = np.zeros(shape, np.int32)
    picture = outlined(Judged("a", image, labels - 1, labels, 0.0))
    assert max(picture.shape) <= 512
    assert picture.shape[2] == 3


def test_the_worst_are_on_the_sheet_in_rows_of_three(tmp_path):
    many = [judged(score / 10, name=f"cells {score}") for score in range(9)]
    assert worst_sheet(many, task="ais").size == worst_sheet(many[:MOST], task="ais").size
    assert worst_sheet(many[:1], task="ais").width < worst_sheet(many[:2], task="ais").width
    write_worst(tmp_path, many, task="ais")
    with Image.open(tmp_path / WORST) as picture:
        assert picture.mode == "RGB"
    assert [path.name for path in tmp_path.iterdir()] == [WORST]
