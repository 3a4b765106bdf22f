"""The encoder that remembers."""

import numpy as np

from samzoo.runtime.engine.networks import RememberedEncoder


def test_equal_pixels_are_encoded_once(toy_networks, rng):
    remembered = RememberedEncoder(toy_networks)
    image = rng.integers(0, 256, (8, 6, 3)).astype(np.uint8)
    first = remembered.encode(image)
    np.testing.assert_array_equal(remembered.encode(image.copy()), first)
    assert len(toy_networks.images) == 1
    remembered.encode(image.reshape(6, 8, 3))
    remembered.encode(image + np.uint8(1))
    assert len(toy_networks.images) == 3


def test_the_oldest_is_forgotten(toy_networks):
    remembered = RememberedEncoder(toy_networks, capacity=2)
    images = [np.full((4, 4, 3), value, np.uint8) for value in (1, 2, 3)]
    for image in (*images, images[2], images[0]):
        remembered.encode(image)
    assert len(toy_networks.images) == 4


def test_decoders_are_those_of_the_networks(toy_networks):
    remembered = RememberedEncoder(toy_networks)
    assert remembered.decode_ais == toy_networks.decode_ais
    assert remembered.decode_prompts == toy_networks.decode_prompts
