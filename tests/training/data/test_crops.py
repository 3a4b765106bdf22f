"""Crops: turned windows, what may be drawn, intensities."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.training.data.annotated import Annotated
from samzoo.training.data.crops import (
    VARIANTS,
    Crop,
    CropSampler,
    training_objects,
    turn,
)
from samzoo.training.data.object_size import median_diameter
from samzoo.training.data.samples import Sample, prepare


def annotated(seed=0, shape=(80, 96)):
    image, labels = tiny.make_cells(shape, seed)
    return Annotated(image, labels, f"cells {seed}")


def sample(shape=(80, 96), scale=1.0):
    return prepare(annotated(shape=shape), Preprocessing(scale=scale), tiny.IMAGE_SIZE)


def sampler(samples, *, augmentation="none", fixed=False, seed=0):
    made = CropSampler(
        samples,
        side=tiny.IMAGE_SIZE,
        augmentation=augmentation,
        rng=np.random.default_rng(seed),
    )
    if fixed:
        made.fix(8)
    return made


def test_the_variants_are_the_eight_symmetries_of_a_square():
    array = np.arange(9).reshape(3, 3)
    expected = {
        np.rot90(mirrored, k).tobytes() for mirrored in (array, array[:, ::-1]) for k in range(4)
    }
    found = {name: {turn(array, v).tobytes() for v in VARIANTS[name]} for name in VARIANTS}
    assert found["dihedral"] == expected
    assert found["none"] == {array.tobytes()}
    assert found["flip"] == {
        a.tobytes() for a in (array, array[::-1], array[:, ::-1], array[::-1, ::-1])
    }


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("shape", [(80, 96), (64, 64), (40, 70)])
def test_image_labels_and_targets_of_a_crop_are_turned_alike(shape, fixed):
    """The image holds the labels, so that each crop can be checked against itself."""
    labels = tiny.make_cells(shape)[1]
    image = np.repeat(labels[..., None], 3, axis=2).astype(np.float32)
    targets = np.stack([labels, labels + 1, labels + 2]).astype(np.float32)
    draw = sampler([Sample(image, labels, targets)], augmentation="dihedral", fixed=fixed).draw
    crops = [draw() for _ in range(100)]
    assert {crop.key[3] for crop in crops} == set(range(8))
    height, width = min(shape[0], 64), min(shape[1], 64)
    for crop in crops:
        _, y, x, variant, _ = crop.key
        expected = turn(labels[y : y + 64, x : x + 64], variant)
        assert crop.labels.shape == ((width, height) if variant & 4 else (height, width))
        assert crop.image.dtype == np.float32
        np.testing.assert_array_equal(crop.labels, expected)
        np.testing.assert_array_equal(crop.image, np.repeat(expected[..., None], 3, axis=2))
        np.testing.assert_array_equal(crop.targets, np.stack([expected + i for i in range(3)]))


def test_every_crop_holds_an_object_however_rare():
    labels = np.zeros((300, 300), np.int32)
    labels[290:296, 3:9] = 5
    rare = Sample(np.zeros((300, 300, 3)), labels, np.zeros((3, 300, 300), np.float32))
    for fixed in (False, True):
        draw = sampler([rare], fixed=fixed).draw
        assert all(training_objects(draw().labels) == [5] for _ in range(10))


def test_windows_lie_anywhere_unless_the_encoder_is_frozen():
    samples = [sample((150, 160)), sample((64, 64))]
    free, fixed = sampler(samples), sampler(samples, fixed=True, augmentation="flip")
    free_keys = {free.draw().key for _ in range(60)}
    fixed_keys = {fixed.draw().key for _ in range(3000)}
    assert len(free_keys) > 30
    assert len(fixed_keys) == fixed.n_fixed
    assert {key[0] for key in free_keys} == {key[0] for key in fixed_keys} == {0, 1}
    assert free.n_fixed == 0
    corners = {(0, y, x) for y in (0, 150 - 64) for x in (0, 160 - 64)} | {(1, 0, 0)}
    assert {key[:3] for key in fixed_keys} >= corners
    assert {key[3] for key in fixed_keys if key[0] == 1} == {0, 1, 2, 3}
    assert max(y for _, y, _, _, _ in fixed_keys) == 150 - 64


@pytest.mark.parametrize("fixed", [False, True])
def test_a_group_of_many_images_is_drawn_as_often_as_one_of_one(fixed):
    cells = sample((64, 64))
    empty = Sample(cells.image, np.zeros_like(cells.labels), cells.targets)
    groups = [*"aaaaab", "a", "b", "b"]
    samples = [
        dataclasses.replace(empty if i >= 6 else cells, group=group)
        for i, group in enumerate(groups)
    ]
    made = CropSampler(
        samples, side=64, augmentation="none", rng=np.random.default_rng(0), negatives=True
    )
    if fixed:
        made.fix(2)
    crops = [made.draw() for _ in range(2000)]
    filled = [groups[c.key[0]] for c in crops if (c.labels > 0).any()]
    assert filled.count("a") / len(filled) == pytest.approx(0.5, abs=0.05)
    # Of a's images one in six is empty, of b's two in three: more than the largest share.
    assert 1 - len(filled) / len(crops) == pytest.approx(0.2, abs=0.04)


def test_the_same_seed_draws_the_same_crops():
    first, again = (sampler([sample((150, 160))], augmentation="dihedral") for _ in range(2))
    assert [first.draw().key for _ in range(5)] == [again.draw().key for _ in range(5)]


def test_without_any_object_of_sufficient_size_sampling_is_an_error():
    labels = np.zeros((80, 80), np.int32)
    labels[3:7, 3:9] = 1  # 24 pixels
    nothing = Sample(np.zeros((80, 80, 3)), labels, np.zeros((3, 80, 80), np.float32))
    with pytest.raises(ImageError, match="no training image holds an object of 25 pixels"):
        sampler([nothing])
    with pytest.raises(ImageError, match="no training image"):
        sampler([])


def test_an_image_without_objects_is_never_drawn():
    empty = prepare(
        Annotated(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.int32), ""),
        Preprocessing(scale=1.0),
        tiny.IMAGE_SIZE,
    )
    draw = sampler([empty, sample()]).draw
    assert {draw().key[0] for _ in range(20)} == {1}


def test_training_objects_are_those_of_25_pixels_or_more():
    labels = np.zeros((20, 20), np.int32)
    labels[:5, :5], labels[10:14, 10:16] = 3, 7
    assert training_objects(labels) == [3]
    assert training_objects(np.zeros((4, 4), np.int32)) == []


def test_images_without_objects_are_drawn_for_an_objective_that_learns_from_them():
    empty = prepare(
        Annotated(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.int32), ""),
        Preprocessing(scale=1.0),
        tiny.IMAGE_SIZE,
    )
    samples = [empty, empty, empty, sample()]
    made = CropSampler(
        samples, side=64, augmentation="none", rng=np.random.default_rng(0), negatives=True
    )
    drawn = [made.draw() for _ in range(300)]
    share = np.mean([crop.key[0] < 3 for crop in drawn])
    assert 0.14 < share < 0.26  # at most a fifth, however many images are empty
    assert all((crop.labels > 0).any() == (crop.key[0] == 3) for crop in drawn)


def test_without_images_without_objects_the_same_crops_are_drawn_as_before():
    keys = []
    for negatives in (False, True):
        made = CropSampler(
            [sample()], side=64, augmentation="flip", rng=np.random.default_rng(1),
            negatives=negatives,
        )  # fmt: skip
        keys.append([made.draw().key for _ in range(10)])
    assert keys[0] == keys[1]


def test_pixels_that_nobody_annotated_stay_so_in_crops_and_are_no_objects():
    whole = annotated()
    labels = whole.labels.copy()
    labels[:, 50:] = -1
    prepared = prepare(Annotated(whole.image, labels, ""), Preprocessing(scale=0.5), 64)
    assert (prepared.labels[:, 25:] == -1).all()
    assert (prepared.targets[0][prepared.labels <= 0] == 0).all()
    crop = sampler([prepared], augmentation="dihedral").draw()
    assert (crop.labels == -1).any()
    assert min(training_objects(crop.labels)) > 0
    assert median_diameter([Annotated(whole.image, labels, "")]) > 0


def zoomed_sampler(samples, **changes):
    return CropSampler(
        samples, side=64, augmentation="dihedral", rng=np.random.default_rng(0),
        scale_jitter=1.6, **changes,
    )  # fmt: skip


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("shape", [(150, 160), (64, 64), (50, 70)])
def test_crops_are_enlarged_and_shrunk_alike_within_the_jitter(shape, fixed):
    """The image holds the labels, so that each crop can be checked against itself."""
    labels = tiny.make_cells(shape)[1]
    image = np.repeat((labels > 0)[..., None] * np.float32(200), 3, axis=2)
    targets = np.stack([labels, labels, labels]).astype(np.float32)
    made = zoomed_sampler([Sample(image, labels, targets)])
    if fixed:
        made.fix(8)
    crops = [made.draw() for _ in range(60)]
    zooms = [crop.key[4] / 1000 for crop in crops]
    assert 0.624 <= min(zooms) < 0.85
    assert 1.2 < max(zooms) <= 1.6
    for crop in crops:
        _, y, x, variant, zoom = crop.key
        assert max(crop.labels.shape) <= 64
        assert crop.image.shape == (*crop.labels.shape, 3)
        assert crop.targets.shape == (3, *crop.labels.shape)
        np.testing.assert_array_equal(crop.targets[1], crop.labels)
        side = round(64 * 1000 / zoom)
        window = turn(labels[y : y + side, x : x + side], variant)
        expected = np.array(window.shape) * zoom / 1000
        np.testing.assert_allclose(crop.labels.shape, np.minimum(expected, 64), atol=0.6)
        # bilinear edges against nearest ones: one pixel along outlines
        assert ((crop.image[..., 0] > 100) != (crop.labels > 0)).mean() < 0.1
        assert training_objects(crop.labels)
        share = (crop.labels > 0).mean() - (window > 0).mean()
        assert abs(share) < 0.03


def test_a_shrunk_crop_still_holds_an_object_or_is_not_shrunk():
    labels = np.zeros((100, 100), np.int32)
    labels[50:56, 50:55] = 3  # 30 pixels, at 0.7 fewer than 25
    rare = Sample(np.zeros((100, 100, 3)), labels, np.zeros((3, 100, 100), np.float32))
    made = zoomed_sampler([rare])
    crops = [made.draw() for _ in range(50)]
    assert all(training_objects(crop.labels) == [3] for crop in crops)
    assert {crop.key[4] for crop in crops if crop.key[4] > 1000}


def test_without_jitter_no_number_is_drawn_for_it():
    plain, off = sampler([sample()]), sampler([sample()])
    off._jitter = 1.0
    assert [plain.draw().key for _ in range(5)] == [off.draw().key for _ in range(5)]
    assert {plain.draw().key[4] for _ in range(5)} == {1000}


def test_an_equal_key_is_an_equal_crop():
    made = zoomed_sampler([sample((150, 160))])
    made.fix(3)
    known: dict[tuple[int, ...], Crop] = {}
    for _ in range(200):
        crop = made.draw()
        first = known.setdefault(crop.key, crop)
        np.testing.assert_array_equal(first.image, crop.image)
        np.testing.assert_array_equal(first.labels, crop.labels)
    assert len(known) == made.n_fixed


def test_images_without_objects_are_shrunk_and_enlarged_too():
    nothing = np.zeros((80, 80), np.int32)
    empty = Sample(np.zeros((80, 80, 3), np.float32), nothing, np.ones((3, 80, 80), np.float32))
    made = zoomed_sampler([empty] * 9 + [sample()], negatives=True)
    zooms = [crop.key[4] for crop in (made.draw() for _ in range(300)) if crop.key[0] < 9]
    assert min(zooms) < 800
    assert max(zooms) > 1300
