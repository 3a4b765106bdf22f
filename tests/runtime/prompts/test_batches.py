"""Batches of prompted objects: each once, in its tile, with coordinates of that tile."""

import numpy as np
import pytest

from samzoo.runtime.engine.encoding import embed_image
from samzoo.runtime.images.tiles import Tile
from samzoo.runtime.prompts import batches
from samzoo.runtime.prompts.batches import central_tile, decode, objects_per_call, single_points
from samzoo.runtime.prompts.tokens import Prompt


def prompt(coords, labels, mask=None):
    return Prompt(np.array(coords, np.float32), np.array(labels, np.float32), mask)


@pytest.fixture
def embedded(toy_networks, toy_config, rng):
    """A config, and embeddings of four tiles of 64 x 64 pixels."""
    config = toy_config()
    image = rng.integers(0, 255, (100, 100)).astype(np.uint8)
    embeddings = embed_image(toy_networks, config, image, shrink=False)
    assert len(embeddings.tiles) == 4
    return config, embeddings


@pytest.fixture
def mixed(toy_config):
    """One to three points, boxes, with and without mask, all over the image."""
    side = toy_config().mask_side
    mask = np.ones((1, side, side), np.float32)
    return [
        prompt([[10, 10]], [1]),
        prompt([[90, 90], [80, 95]], [1, 0]),
        prompt([[5, 60], [20, 80]], [2, 3]),
        prompt([[12, 70], [5, 60], [20, 80]], [1, 2, 3]),
        prompt([[15, 12]], [1], mask),
        prompt([[20, 20]], [1]),
    ]


def test_each_object_is_decoded_once_in_its_most_central_tile(toy_networks, embedded, mixed):
    config, embeddings = embedded
    decoded = list(decode(toy_networks, config, embeddings, mixed))
    assert sorted(i for batch in decoded for i in batch.members) == list(range(6))
    for batch in decoded:
        for i in batch.members:
            assert batch.tile == embeddings.tiles[central_tile(mixed[i], embeddings.tiles)]


def test_objects_in_one_call_have_equal_tokens_and_all_a_mask_or_none(
    toy_networks, embedded, mixed
):
    config, embeddings = embedded
    list(decode(toy_networks, config, embeddings, mixed))
    for coords, labels, mask in toy_networks.calls:
        assert coords.shape == (*labels.shape, 2)
        assert mask is None or len(mask) == len(labels)
    assert sum(mask is not None for *_, mask in toy_networks.calls) == 1


def test_points_are_padded_and_boxes_are_not(toy_networks, embedded):
    config, embeddings = embedded
    list(decode(toy_networks, config, embeddings, [prompt([[10, 12]], [1])]))
    list(decode(toy_networks, config, embeddings, [prompt([[5, 6], [20, 30]], [2, 3])]))
    (_, points, _), (_, box, _) = toy_networks.calls
    assert points.tolist() == [[1, -1]]
    assert box.tolist() == [[2, 3]]


def test_coordinates_are_those_of_the_tile_and_outside_points_say_nothing(toy_networks, embedded):
    config, embeddings = embedded
    last = embeddings.tiles[-1]
    given = prompt([[90, 80], [1, 1], [70, 60], [120, 99]], [1, 0, 2, 3])
    list(decode(toy_networks, config, embeddings, [given]))
    ((coords, labels, _),) = toy_networks.calls
    y0, x0 = last.outer[:2]
    expected = [[90 - x0, 80 - y0], [70 - x0, 60 - y0], [last.size[1], 99 - y0]]
    np.testing.assert_allclose(coords[0], expected)
    assert labels.tolist() == [[1, 2, 3]]


def test_a_chosen_tile_decodes_the_object(toy_networks, embedded):
    config, embeddings = embedded
    (batch,) = decode(toy_networks, config, embeddings, [prompt([[50, 50]], [1])], tiles=[2])
    assert batch.tile == embeddings.tiles[2]


def test_batches_hold_no_more_objects_than_memory_does(toy_networks, embedded, monkeypatch):
    config, embeddings = embedded
    monkeypatch.setattr(batches, "MAX_OBJECTS", 2)
    told = []
    prompts = single_points(np.array([[10, 10], [11, 11], [12, 12]], np.float32))
    found = list(
        decode(toy_networks, config, embeddings, prompts, progress=lambda *step: told.append(step))
    )
    assert [batch.members for batch in found] == [[0, 1], [2]]
    assert told == [("prompt", 2, 3), ("prompt", 3, 3)]


def test_memory_of_a_batch_falls_with_the_grid():
    counts = [objects_per_call(grid, 2) for grid in (8, 16, 32, 64, 128, 256)]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) == 1


def test_the_central_tile_is_the_one_with_most_context():
    tiles = (Tile((0, 0, 10, 10), (0, 0, 10, 8)), Tile((0, 6, 10, 16), (0, 8, 10, 16)))
    assert central_tile(prompt([[4, 5]], [1]), tiles) == 0
    assert central_tile(prompt([[9, 5]], [1]), tiles) == 1
