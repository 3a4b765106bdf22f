"""Labels that lie elsewhere than their image's objects are told: mirrored, turned, off by one."""

import numpy as np
import pytest

from samzoo.runtime.labels.alignment import Edges, Neighbours, turned_labels

TURNS = {
    "mirrored left to right": lambda a: a[:, ::-1],
    "mirrored top to bottom": lambda a: a[::-1],
    "turned by 90 degrees": lambda a: np.rot90(a, -1),
    "turned by 180 degrees": lambda a: a[::-1, ::-1],
    "turned by 270 degrees": lambda a: np.rot90(a),
    "mirrored along a diagonal": lambda a: a.T,
}


def scattered(shape=(160, 160), *, shift=0, seed=0):
    """Discs in noise at places without any symmetry, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for number in range(1, 13):
        y, x = rng.uniform(8, shape[0] - 8), rng.uniform(8, shape[1] - 8) + shift
        labels[np.hypot(rows - y, columns - x) < 7] = number
    noise = rng.normal(30, 3, shape)
    return (noise + 120 * (labels > 0)).astype(np.uint8), labels


@pytest.fixture(scope="module")
def cells():
    return scattered()


@pytest.mark.parametrize("way", TURNS)
def test_labels_that_were_mirrored_or_turned_are_told_how_to_fit(cells, way):
    image, labels = cells
    found = turned_labels(Edges.of(image, TURNS[way](labels)), "a.tif")
    assert len(found) == 1
    assert found[0].startswith(f"a.tif: the labels fit the image much better if they are {way}")


def test_right_labels_are_not_doubted(cells):
    image, labels = cells
    for picture in (image, image.astype(float) / 255, np.dstack([image] * 3), 255 - image):
        assert turned_labels(Edges.of(picture, labels), "a.tif") == []


def test_one_small_bright_object_in_noise_is_no_reason_to_doubt(cells):
    rng = np.random.default_rng(1)
    image, labels = rng.normal(30, 3, (256, 256)), np.zeros((256, 256), np.int32)
    labels[100:112, 230:240] = 1  # 0.2 % of the image
    bright = (image + 200 * labels).astype(np.uint8)
    assert turned_labels(Edges.of(bright, labels), "a") == []
    assert "turned by 180" in turned_labels(Edges.of(bright, labels[::-1, ::-1]), "a")[0]
    # Without any edge at the outlines of one way or another, the best of seven is chance.
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(30, 3, (256, 256))
        noise[labels > 0] = 30  # flat, so that the labels' own fit is low
        assert turned_labels(Edges.of(noise, labels), "a") == []


def test_nothing_is_said_where_nothing_can_be_known(cells):
    image, labels = cells
    assert turned_labels(Edges.of(image, labels * 0), "a.tif") == []
    assert turned_labels(Edges.of(image * 0, labels), "a.tif") == []
    assert turned_labels(Edges.of(image[:1, :1], labels[:1, :1]), "a.tif") == []
    assert turned_labels(Edges.of(image, labels * 0 - 1), "a.tif") == []


def test_only_turns_that_fit_the_shape_are_tried():
    image, labels = scattered((80, 120))
    assert turned_labels(Edges.of(image, labels), "a.tif") == []


def neighbours(images, labels):
    found = Neighbours()
    for image, own in zip(images, labels, strict=True):
        found.add(Edges.of(image, own))
    return found.sentences()


def moving():
    """Discs that move by a third of their width from frame to frame."""
    frames = [scattered(shift=5 * i) for i in range(6)]
    return [each[0] for each in frames], [each[1] for each in frames]


def test_labels_that_are_off_by_one_image_are_told():
    images, labels = moving()
    assert neighbours(images, labels) == []
    assert "fit the image before theirs" in neighbours(images[1:], labels[:-1])[0]
    assert "fit the image after theirs" in neighbours(images[:-1], labels[1:])[0]


def test_two_images_prove_nothing():
    images, labels = moving()
    assert neighbours(images[1:3], labels[:2]) == []


def test_a_large_image_is_looked_at_in_steps():
    image, labels = np.zeros((2100, 4100), np.uint8), np.zeros((2100, 4100), np.int32)
    small_image, small_labels = scattered((60, 60))
    image[:600, :600] = np.kron(small_image, np.ones((10, 10), np.uint8))
    labels[:600, :600] = np.kron(small_labels, np.ones((10, 10), np.int32))
    edges = Edges.of(image, labels)
    assert edges.image.shape == edges.labels.shape == (1050, 2050)
    assert turned_labels(edges, "a") == []
    assert "turned by 180" in turned_labels(Edges.of(image, labels[::-1, ::-1]), "a")[0]
