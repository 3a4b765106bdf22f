"""Scores of an image turned and mirrored in all eight ways."""

import numpy as np
import pytest

from samzoo.runtime.evaluation.comparison import Comparison
from samzoo.runtime.evaluation.orientations import turned_scores


class Bright:
    """A model that finds what is bright, and remembers what it was asked."""

    def __init__(self):
        self.images = []

    def embed(self, image):
        return image

    def prompt(self, embedding, *, points=None, point_labels=None, boxes=None):
        raise NotImplementedError

    def segment(self, image):
        self.images.append(image)
        return (image.reshape(*image.shape[:2], -1)[..., 0] > 0).astype(np.int32)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_model_that_sees_alike_scores_alike_in_eight_different_views(channels):
    truth = np.zeros((20, 30), np.int32)
    truth[3:9, 4:20] = 5
    truth[15:] = -1
    image = np.broadcast_to((truth == 5).reshape(20, 30, *(1 for _ in channels)) * 200.0,
                            (20, 30, *channels))  # fmt: skip
    model = Bright()
    found = turned_scores(model, image, truth, Comparison(truth, truth))
    assert [view["scores"]["msa"] for view in found] == [1.0] * 8
    assert len({each.tobytes() + bytes(each.shape) for each in model.images}) == 7
    assert {each.shape[:2] for each in model.images} == {(20, 30), (30, 20)}
