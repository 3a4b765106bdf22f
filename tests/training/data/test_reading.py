"""From annotated images to crops: splits, scales, turned windows, what may be drawn."""

import numpy as np
import pytest
import tifffile
import tiny

from samzoo.runtime.errors import ImageError, NotFoundError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.labels.annotation import LabelMeaning
from samzoo.runtime.labels.contents import content_identity
from samzoo.runtime.labels.survey import Survey
from samzoo.training.data.reading import (
    VARIANTS,
    Annotated,
    CropSampler,
    Sample,
    data_digest,
    jitter_intensity,
    median_diameter,
    prepare,
    read_annotated,
    scaled_size,
    split,
    training_objects,
    turn,
)
from samzoo.training.data.targets import distance_targets


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


@pytest.mark.parametrize(("count", "chosen"), [(4, [0]), (5, [0]), (6, [0, 5]), (11, [0, 5, 10])])
def test_from_four_images_on_every_fifth_validates(count, chosen):
    images = [annotated(seed) for seed in range(count)]
    train, val = split(images)
    assert [a.name for a in val] == [f"cells {i}" for i in chosen]
    assert [a.name for a in train] == [f"cells {i}" for i in range(count) if i not in chosen]


@pytest.mark.parametrize("count", [1, 3])
def test_of_fewer_images_the_right_quarters_validate(count):
    images = [annotated(seed, shape=(80, 97)) for seed in range(count)]
    train, val = split(images)
    assert len(train) == len(val) == count
    for whole, left, right in zip(images, train, val, strict=True):
        assert left.labels.shape == (80, 72)
        np.testing.assert_array_equal(np.hstack([left.image, right.image]), whole.image)
        np.testing.assert_array_equal(np.hstack([left.labels, right.labels]), whole.labels)
        assert left.name.startswith(whole.name)


def test_a_part_without_objects_is_an_error_that_says_what_to_do():
    image, labels = tiny.make_cells()
    labels[:, 72:] = 0
    part = Annotated(image, labels, "name")
    with pytest.raises(ImageError, match=r"name: no labelled .*right quarter.*--val-images"):
        split([part])
    train, val = split([part, annotated(1)])  # the other image validates
    assert [a.name for a in train] == ["name", "cells 1 (left 3/4)"]
    assert [a.name for a in val] == ["cells 1 (right 1/4)"]


def test_the_median_diameter_is_that_of_circles_of_the_objects_areas():
    labels = np.zeros((40, 40), np.int32)
    labels[:4, :9], labels[10:20, :10], labels[30:, :] = 1, 2, 7  # 36, 100 and 400 pixels
    empty = Annotated(labels * 0, labels * 0, "empty")
    other = Annotated(labels, (labels == 1).astype(np.int32), "other")
    assert median_diameter([Annotated(labels, labels, "a")]) == pytest.approx(
        2 * (100 / np.pi) ** 0.5
    )
    both = median_diameter([Annotated(labels, labels, "a"), other, empty])
    assert both == pytest.approx(((36 / np.pi) ** 0.5) + (100 / np.pi) ** 0.5)
    with pytest.raises(ImageError, match="no training image holds an object"):
        median_diameter([empty])


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
        _, y, x, variant = crop.key
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
    assert max(y for _, y, _, _ in fixed_keys) == 150 - 64


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


def test_jitter_is_a_power_within_its_strength(rng):
    image = np.linspace(0, 255, 27, dtype=np.float32).reshape(3, 3, 3)
    assert jitter_intensity(image, 0.0, rng) is image
    for _ in range(20):
        jittered = jitter_intensity(image, 1.0, rng)
        assert jittered.dtype == np.float32
        exponent = np.log(jittered[1, 1, 1] / 255) / np.log(image[1, 1, 1] / 255)
        assert 0.5 <= exponent <= 2
        np.testing.assert_allclose(jittered, 255 * (image / 255) ** exponent, atol=1e-3)


def test_read_annotated_reads_pairs(tmp_path):
    from PIL import Image

    image, labels = tiny.make_cells()
    for folder, array in (("images", image), ("labels", labels.astype(np.uint8))):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    (found,) = read_annotated(tmp_path / "images", tmp_path / "labels")
    np.testing.assert_array_equal(found.image, image)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.name == "a.png"
    with pytest.raises(NotFoundError):
        read_annotated(tmp_path / "nothing", tmp_path / "labels")


def test_the_digest_of_data_sees_pixels_labels_and_order():
    a, b = sample(), sample((64, 64))
    other = Sample(a.image, np.where(a.labels == 1, 0, a.labels), a.targets)
    digests = [data_digest(s) for s in ([a], [other], [a, b], [b, a])]
    assert len(set(digests)) == 4
    assert data_digest([sample()]) == digests[0]


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


@pytest.mark.parametrize(("full", "empty"), [(4, 1), (5, 5), (1, 2)])
def test_images_without_objects_do_not_stop_the_split(full, empty):
    nothing = [
        Annotated(np.zeros((80, 96)), np.zeros((80, 96), np.int32), f"empty {i}")
        for i in range(empty)
    ]
    train, val = split([*nothing, *(annotated(seed) for seed in range(full))])
    assert any((a.labels > 0).any() for a in val)
    names = {a.name for a in train} | {a.name for a in val}
    assert {f"empty {i}" for i in range(empty)} <= names
    assert sum(a.name.startswith("empty") for a in val) == (1 if (full, empty) == (5, 5) else 0)


def test_read_annotated_tells_what_it_read_and_whose_picture_it_is(tmp_path):
    whole = annotated()
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    tifffile.imwrite(tmp_path / "images/a.ome.tif", whole.image)
    tifffile.imwrite(tmp_path / "labels/a_masks.tif", (whole.labels > 0).astype(np.uint8) * 255)
    with pytest.raises(ImageError, match=r"a_masks\.tif: id 255 has \d+ separate parts"):
        read_annotated(tmp_path / "images", tmp_path / "labels")
    survey = Survey()
    (found,) = read_annotated(
        tmp_path / "images", tmp_path / "labels", survey=survey,
        meaning=LabelMeaning(split_components=True),
    )  # fmt: skip
    assert survey.counts.objects == found.labels.max() > 3
    left, right = split([found])
    assert left[0].content == right[0].content == content_identity(whole.image)


def test_copies_of_a_picture_never_lie_on_both_sides_of_the_split():
    images = [annotated(seed) for seed in range(6)]
    copy = Annotated(images[0].image[::-1], images[0].labels[::-1], "copy")
    train, val = split([*images[:3], copy, *images[3:]])
    assert [a.name for a in val] == ["cells 0", "cells 4", "copy"]
    assert [a.name for a in train] == ["cells 1", "cells 2", "cells 3", "cells 5"]


def test_all_bad_pairs_are_named_at_once(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for name in "abc":
            pixels = (9 if folder == "images" else 1) * np.eye(8, dtype=np.uint8)
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", pixels)
    (tmp_path / "images" / "a.tif").write_bytes(b"")
    tifffile.imwrite(tmp_path / "labels" / "c.tif", np.eye(7, dtype=np.uint8))
    with pytest.raises(
        ImageError, match=r"2 pairs cannot be used:(\n.*)+a\.tif: the file is empty"
    ):
        read_annotated(tmp_path / "images", tmp_path / "labels")
    (tmp_path / "images" / "a.tif").write_bytes((tmp_path / "images" / "b.tif").read_bytes())
    with pytest.raises(ImageError, match=r"^.*c\.tif: the labels are 7 x 7"):
        read_annotated(tmp_path / "images", tmp_path / "labels")
