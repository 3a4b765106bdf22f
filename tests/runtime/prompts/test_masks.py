"""Masks of prompted objects: what the tile's logits say, put where the tile lies."""

import numpy as np

from samzoo.runtime.engine.encoding import embed_image
from samzoo.runtime.prompts.batches import decode, single_points
from samzoo.runtime.prompts.cutouts import place_masks
from samzoo.runtime.prompts.masks import prompted_masks


def test_masks_come_back_in_the_order_of_the_prompts(toy_networks, toy_config, discs):
    """The toy marks what is bright within 12 pixels: one disc for each point."""
    centers = [(80, 20), (20, 20), (50, 75), (20, 85)]
    image = discs((100, 100), centers)
    config = toy_config()
    embeddings = embed_image(toy_networks, config, image, shrink=False)
    prompts = single_points(np.array([(x, y) for y, x in centers], np.float32))
    parts, scores, low_res = prompted_masks(toy_networks, config, embeddings, prompts, None)
    masks = place_masks(parts, image.shape)
    for mask, center in zip(masks, centers, strict=True):
        alone = discs((100, 100), [center]) > 0
        assert (mask & alone).sum() / (mask | alone).sum() > 0.85
    for batch in decode(toy_networks, config, embeddings, prompts):
        np.testing.assert_array_equal(scores[batch.members], batch.iou[:, 0])
        np.testing.assert_array_equal(low_res[batch.members], batch.low_res)


def test_a_mask_may_be_empty(toy_networks, toy_config, discs):
    image = discs((60, 60), [(10, 10)])
    config = toy_config()
    embeddings = embed_image(toy_networks, config, image, shrink=False)
    prompts = single_points(np.array([[50, 50]], np.float32))
    parts, scores, _ = prompted_masks(toy_networks, config, embeddings, prompts, None)
    assert not place_masks(parts, image.shape).any()
    assert scores.shape == (1,)


def test_no_prompt_gives_no_mask(toy_networks, toy_config):
    config = toy_config()
    image = np.zeros((40, 40), np.uint8)
    embeddings = embed_image(toy_networks, config, image, shrink=False)
    parts, scores, low_res = prompted_masks(toy_networks, config, embeddings, [], None)
    assert (parts, scores.shape) == ([], (0,))
    assert low_res.shape == (0, 1, config.mask_side, config.mask_side)
