"""Sizes and resizing against segment-anything and torch, and by hand."""

import numpy as np
import pytest

from samzoo.runtime.errors import ShapeError
from samzoo.runtime.images.geometry import (
    field_of_view,
    input_size,
    interpolate,
    resize_image,
    resize_labels,
)

INTERPOLATION_TOLERANCE = 1e-5
"""torch computes positions in float32: up to 1e-6 of a pixel between values that differ by one."""


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1, 1), (64, 64)), ((1, 1000), (1, 64)), ((64, 64), (64, 64)), ((30, 45), (43, 64))],
)
def test_the_longest_side_becomes_the_models_size(size, expected):
    assert input_size(size, 64, None) == expected


def test_a_fixed_scale_keeps_the_proportions_and_refuses_what_does_not_fit():
    assert input_size((10, 32), 64, 2.0) == (20, 64)
    assert input_size((1, 1), 64, 0.1) == (1, 1)
    with pytest.raises(ShapeError, match=r"10 x 33 pixels at scale 2.0 does not fit .* 64 pixels"):
        input_size((10, 33), 64, 2.0)


@pytest.mark.parametrize("scale", [0.3, 0.7, 1.0, 1.5, 2.0, 3.3])
def test_an_image_of_the_field_of_view_fits(scale):
    side = field_of_view(256, scale)
    assert max(input_size((side, side), 256, scale)) <= 256


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resizing_to_the_same_size_changes_nothing(rng, dtype):
    image = rng.integers(0, 256, (7, 9, 3)).astype(dtype)
    np.testing.assert_array_equal(resize_image(image, (7, 9)), image)


def test_float_images_are_resized_without_rounding(rng):
    image = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    as_float = resize_image(image.astype(np.float32), (22, 33))
    assert as_float.dtype == np.float32
    difference = np.abs(as_float - resize_image(image, (22, 33)))
    assert 0 < difference.max() <= 1.0  # Pillow rounds uint8 after each of two passes


def test_labels_are_resized_without_new_labels():
    labels = np.array([[0, 70000], [5, 0]], np.int32)
    enlarged = resize_labels(labels, (4, 6))
    np.testing.assert_array_equal(enlarged, labels.repeat(2, 0).repeat(3, 1))
    assert enlarged.dtype == np.int32


def test_interpolation_of_known_values():
    maps = np.array([[[0.0, 4.0]]], np.float32)
    np.testing.assert_allclose(interpolate(maps, (1, 4))[0, 0], [0, 1, 3, 4])
    np.testing.assert_array_equal(interpolate(maps, (2, 2))[0], [[0, 4], [0, 4]])
    np.testing.assert_allclose(interpolate(maps, (1, 1))[0, 0], [2])


@pytest.mark.torch
@pytest.mark.parametrize(
    ("old", "new"),
    [((1, 1), (3, 5)), ((16, 16), (64, 64)), ((64, 43), (200, 131)), ((50, 60), (7, 60)),
     ((64, 64), (333, 1))],
)  # fmt: skip
def test_interpolation_equals_torch(rng, old, new):
    torch = pytest.importorskip("torch")
    maps = rng.random((3, *old)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[None], size=new, mode="bilinear", align_corners=False
    )[0].numpy()
    found = interpolate(maps, new)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=INTERPOLATION_TOLERANCE)


@pytest.mark.torch
def test_sizes_and_images_equal_segment_anything(rng):
    transforms = pytest.importorskip("segment_anything.utils.transforms")
    for side in (64, 1024):
        transform = transforms.ResizeLongestSide(side)
        for size in rng.integers(1, 3000, (200, 2)).tolist():
            expected = transform.get_preprocess_shape(*size, side)
            height, width = input_size(tuple(size), side, None)
            # Segment-anything makes no side of an extreme image at least one pixel.
            assert (height, width) == tuple(max(1, length) for length in expected)
    transform = transforms.ResizeLongestSide(64)
    for size in ((30, 45), (90, 20), (64, 64), (200, 199)):
        image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        found = resize_image(image, input_size(size, 64, None))
        np.testing.assert_array_equal(found, transform.apply_image(image))
