"""Scores at the scale that a model estimates for each image."""

import numpy as np

from samzoo.runtime.batch.sized_model import SizedByImage
from samzoo.runtime.model import Model


def test_each_image_is_seen_at_its_own_scale_once(toy_config, toy_networks, discs, monkeypatch):
    model = Model(toy_config(object_diameter=12.0), toy_networks)
    looks = []
    found = Model.object_scale

    def counted(*each):
        looks.append(each)
        return found(*each)

    monkeypatch.setattr(Model, "object_scale", counted)
    sized = SizedByImage(model, {"min_size": 1})
    for radius in (5.0, 9.0):
        centers = [(y, x) for y in range(30, 190, 40) for x in range(30, 190, 40)]
        image = discs((200, 200), centers, radius)
        labels = sized.segment(image)
        embeddings = sized.embed(image)
        assert embeddings.scale == model.object_scale(image).scale
        looks.pop()
        np.testing.assert_array_equal(labels, model.segment(image, diameter="auto"))
        masks, _, _ = sized.prompt(embeddings, points=[[[30, 30]]], point_labels=[[1]])
        assert masks[0, 30, 30]
    assert len(looks) == 2
    assert SizedByImage(model, {"min_size": 400}).segment(image).max() == 0
