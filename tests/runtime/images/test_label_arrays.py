"""What the numbers in label arrays mean: objects, background, not annotated, very large ids."""

import tracemalloc

import numpy as np
import pytest

from samzoo.runtime.errors import ImageError
from samzoo.runtime.images.label_arrays import IGNORED, check_labels, object_areas


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.array([[0.0, 1.5]]), "found fractions"),
     (np.array([[0, -1]], np.int16), "found labels from -1"),
     (np.array([[0, np.nan]]), "found NaN or infinite"),
     (np.array([[0, np.inf]]), "found NaN or infinite"),
     (np.array([[0, 2**25]], np.float32), "cannot tell ids above 16777216 apart"),
     (np.array([[0, 1j]]), "dtype complex128"),
     (np.zeros((4, 4, 3), np.uint8), "colour image .* save the labels themselves"),
     (np.zeros((4, 4, 4, 4), np.uint8), "expected \\(height, width\\)"),
     (np.zeros((7, 4, 6), np.uint8), "of a stack of one mask an object, make one image"),
     (np.zeros((0, 4), np.uint8), "expected \\(height, width\\)")],
)  # fmt: skip
def test_arrays_that_are_no_labels_are_refused(labels, message):
    with pytest.raises(ImageError, match=message):
        check_labels(labels)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "f4", "f8"])
def test_minus_one_means_not_annotated_in_every_signed_dtype(dtype):
    found = check_labels(np.array([[-1, 0, 7]], dtype), ignored_allowed=True)
    assert found.dtype == np.int32
    assert found.tolist() == [[IGNORED, 0, 7]]


def test_other_negative_ids_are_refused_without_the_advice_to_call_them_background():
    with pytest.raises(ImageError, match=r"found labels from -2; .* -1 .* means not annotated"):
        check_labels(np.array([[-2, -1, 1]], np.int16), ignored_allowed=True)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "u8"])
def test_an_id_may_be_said_to_mean_not_annotated(dtype):
    labels = np.array([[0, 3, 255, 255]], dtype)
    assert check_labels(labels, ignore=[255]).tolist() == [[0, 3, IGNORED, IGNORED]]
    assert check_labels(labels, ignore=[70000]).tolist() == [[0, 3, 255, 255]]


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [([2_000_000_000, 5, 2_000_000_001], "i4"), ([2**63 + 4, 8, 2**64 - 1], "u8"),
     ([2**40, 1, 2**50], "i8"), ([2.0**52, 1.0, 2.0**53], "f8")],
)  # fmt: skip
def test_very_large_ids_are_numbered_anew_in_their_order(ids, dtype):
    middle, low, high = ids
    labels = np.array([[0, middle, low], [high, low, 0]], dtype)
    assert check_labels(labels).tolist() == [[0, 2, 1], [3, 1, 0]]


def test_very_large_ids_beside_pixels_that_nobody_annotated():
    labels = np.array([[-1, 2**40, 0, 2**41]], np.int64)
    assert check_labels(labels, ignored_allowed=True).tolist() == [[-1, 1, 0, 2]]
    without_background = np.array([[2**40, 2**41]], np.int64)
    assert check_labels(without_background).tolist() == [[1, 2]]


def test_ids_that_fit_are_kept_and_writers_keep_larger_ones():
    assert check_labels(np.array([[0, 65536]])).tolist() == [[0, 65536]]
    assert check_labels(np.array([[2**31 - 1]]), renumber=False).tolist() == [[2**31 - 1]]
    with pytest.raises(ImageError, match="found label 2147483648, allowed are 0 to"):
        check_labels(np.array([[2**31]]), renumber=False)


def test_very_large_ids_take_no_more_memory_than_a_few_copies_of_the_image():
    labels = np.random.default_rng(0).integers(0, 2**60, (300, 400)).astype(np.uint64)
    tracemalloc.start()
    check_labels(labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * labels.nbytes


def test_areas_come_in_the_order_of_the_ids():
    assert object_areas(np.array([[-1, 0, 5, 2, 2]], np.int32)).tolist() == [2, 1]
    assert object_areas(np.zeros((3, 3), np.int32)).tolist() == []
