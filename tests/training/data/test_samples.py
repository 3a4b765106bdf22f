"""Annotated images at the model's scale, computed when they are needed."""

from typing import ClassVar

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.config import Preprocessing
from samzoo.training.data.annotated import Annotated
from samzoo.training.data.crops import CropSampler
from samzoo.training.data.samples import lazy_samples, prepare, scaled_size
from samzoo.training.data.targets import distance_targets


def annotated(seed=0, shape=(80, 96)):
    image, labels = tiny.make_cells(shape, seed)
    return Annotated(image, labels, f"cells {seed}")


def sample(shape=(80, 96), scale=1.0):
    return prepare(annotated(shape=shape), Preprocessing(scale=scale), tiny.IMAGE_SIZE)


def test_prepare_brings_an_image_to_the_declared_scale():
    prepared = sample(scale=2.0)
    assert prepared.image.shape == (160, 192, 3)
    assert prepared.labels.shape == (160, 192)
    assert prepared.labels.dtype == np.int32
    original = annotated().labels
    np.testing.assert_array_equal(prepared.labels[::2, ::2], original)
    np.testing.assert_array_equal(prepared.targets, distance_targets(prepared.labels))


def test_prepare_without_a_scale_fits_the_longest_side():
    prepared = prepare(annotated(), Preprocessing(), tiny.IMAGE_SIZE)
    assert prepared.labels.shape == (53, 64)  # 80 * 64 / 96 = 53.3
    assert prepared.image.shape == (53, 64, 3)
    assert prepared.targets.shape == (3, 53, 64)


def test_prepare_applies_the_intensity_rule():
    a = annotated()
    prepared = prepare(
        Annotated(a.image.astype(np.uint16) * 7, a.labels, ""),
        Preprocessing(intensity="min_max", scale=1.0),
        tiny.IMAGE_SIZE,
    )
    assert prepared.image.min() == 0
    assert prepared.image.max() == pytest.approx(255)


@pytest.mark.parametrize(
    ("shape", "scale", "expected"),
    [((10, 20), 2.0, (20, 40)), ((3, 500), 0.1, (1, 50)), ((30, 60), None, (32, 64))],
)
def test_scaled_size_rounds_and_is_never_zero(shape, scale, expected):
    assert scaled_size(shape, scale, 64) == expected


class Counted(Annotated):
    """Counts how often its pixels are asked for, as a file would be read."""

    reads: ClassVar[list[str]] = []

    def __getattribute__(self, name):
        if name in ("image", "labels"):
            Counted.reads.append(name)
        return super().__getattribute__(name)


def counted(count=3):
    images = [Counted(a.image, a.labels, a.name) for a in map(annotated, range(count))]
    Counted.reads = []
    return images


def test_nothing_is_read_or_computed_before_it_is_needed():
    images = counted()
    samples = lazy_samples(images, [Preprocessing(scale=1.5)] * 3, tiny.IMAGE_SIZE)
    Counted.reads = []  # an image in memory is asked for its size
    wanted = prepare(images[1], Preprocessing(scale=1.5), tiny.IMAGE_SIZE)
    Counted.reads = []
    np.testing.assert_array_equal(samples[1].targets, wanted.targets)
    np.testing.assert_array_equal(samples[1].labels, wanted.labels)
    assert Counted.reads == ["labels"]
    np.testing.assert_array_equal(samples[1].image, wanted.image)
    assert Counted.reads == ["labels", "image"]


def test_crops_are_the_same_however_little_memory_there_is():
    def drawn(memory):
        samples = lazy_samples(
            [annotated(seed, (90, 100)) for seed in range(3)],
            [Preprocessing(scale=1.5)] * 3,
            tiny.IMAGE_SIZE, memory=memory,
        )  # fmt: skip
        sampler = CropSampler(
            samples, side=tiny.IMAGE_SIZE, augmentation="dihedral", rng=np.random.default_rng(0)
        )
        return [sampler.draw() for _ in range(12)]

    for ours, theirs in zip(drawn(0), drawn(2**30), strict=True):
        assert ours.key == theirs.key
        for name in ("image", "labels", "targets"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_a_sampler_asks_for_the_labels_of_each_image_once():
    images = counted()
    samples = lazy_samples(images, [Preprocessing(scale=1.0)] * 3, tiny.IMAGE_SIZE, memory=0)
    Counted.reads = []
    CropSampler(samples, side=64, augmentation="none", rng=np.random.default_rng(0), negatives=True)
    assert Counted.reads == ["labels"] * 3
