"""Shapes and intensities of objects, against scikit-image."""

import numpy as np
import pytest

from samzoo.runtime.images.label_table import LabelTable
from samzoo.runtime.images.object_shapes import circularity, ellipse_axes

measure = pytest.importorskip("skimage.measure")


@pytest.fixture
def labels(rng):
    """Blobs that touch each other and the border, one pixel, and a ring."""
    y, x = np.mgrid[:60, :80]
    labels = np.zeros((60, 80), np.int32)
    for label in range(1, 25):
        (cy, cx), (ry, rx) = rng.uniform(0, (60, 80)), rng.uniform(2, 12, 2)
        labels[((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1] = label
    labels[30:41, 30:41] = 40
    labels[33:38, 33:38] = 0
    labels[35, 35] = 41
    return labels


def table(labels, height, image=None, **options):
    found = LabelTable(labels.shape, **options)
    for y in range(0, len(labels), height):
        found.add(labels[y : y + height], None if image is None else image[y : y + height])
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows()]


@pytest.mark.parametrize("height", [1, 7, 60])
def test_axes_and_circularity_are_those_of_scikit_image(labels, height):
    rows = table(labels, height)
    regions = measure.regionprops(labels)
    assert len(rows) == len(regions) > 10
    for row, region in zip(rows, regions, strict=True):
        axes = (region.axis_major_length, region.axis_minor_length)
        assert (row["major_axis"], row["minor_axis"]) == pytest.approx(axes, abs=1e-3)
        perimeter = measure.perimeter_crofton(labels == row["label"], directions=4)
        expected = min(4 * np.pi * region.area / perimeter**2, 1)
        assert row["circularity"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("channels", [("",), ("red", "green", "blue")])
@pytest.mark.parametrize("height", [7, 60])
def test_intensities_are_those_of_scikit_image(labels, rng, height, channels):
    shape = labels.shape if len(channels) == 1 else (*labels.shape, 3)
    image = rng.integers(0, 65535, shape).astype(np.uint16)
    rows = table(labels, height, image, channels=channels)
    for row, region in zip(rows, measure.regionprops(labels, image), strict=True):
        means, stds = np.atleast_1d(region.intensity_mean), np.atleast_1d(region.intensity_std)
        for name, mean, std in zip(channels, means, stds, strict=True):
            end = name and f"_{name}"
            assert row[f"mean_intensity{end}"] == pytest.approx(mean, abs=1e-3)
            assert row[f"std_intensity{end}"] == pytest.approx(std, abs=1e-3)


def test_micrometres_are_those_of_scikit_image(labels):
    sizes = {"y": (500.0, "nanometer"), "x": (0.25, "micrometer")}
    regions = measure.regionprops(labels, spacing=(0.5, 0.25))
    for row, region in zip(table(labels, 60, sizes=sizes), regions, strict=True):
        assert row["area_um2"] == pytest.approx(region.area, abs=1e-3)
        axes = (region.axis_major_length, region.axis_minor_length)
        assert (row["major_axis_um"], row["minor_axis_um"]) == pytest.approx(axes, abs=1e-3)


def test_a_volume_has_cubic_micrometres_and_intensities():
    labels = np.array([[[0, 5], [5, 5]], [[0, 0], [0, 5]]], np.int32)
    image = np.arange(8).reshape(2, 2, 2)
    sizes = {"z": (2.0, "micrometer"), "y": (0.5, "micrometer"), "x": (0.5, "micrometer")}
    found = LabelTable(labels.shape, channels=("",), sizes=sizes)
    found.add(labels, image)
    [values] = found.rows()
    row = dict(zip(found.columns, values, strict=True))
    assert (row["voxels"], row["volume_um3"], row["mean_intensity"]) == (4, 2.0, 3.25)
    assert "circularity" not in row


@pytest.mark.parametrize("sizes", [{}, {"x": (1.0, "micrometer")},
                                   {"x": (1.0, None), "y": (1.0, None)}])  # fmt: skip
def test_without_a_pixel_size_there_are_no_micrometres(labels, sizes):
    assert not [name for name in table(labels, 60, sizes=sizes)[0] if "um" in name]


def test_one_pixel_and_no_object_have_no_errors():
    [row] = table(np.array([[3]], np.int32), 1)
    assert (row["major_axis"], row["minor_axis"], row["circularity"]) == (0, 0, 1)
    empty = np.zeros((4, 4), np.int32)
    assert table(empty, 2, empty, channels=("",)) == []


def test_a_disc_is_round_and_a_bar_is_not():
    y, x = np.mgrid[:101, :101]
    disc = (np.hypot(y - 50, x - 50) < 40).astype(np.int32)
    bar = (abs(y - 50) < 5).astype(np.int32)
    [[round_], [long]] = [[row["circularity"] for row in table(each, 101)] for each in (disc, bar)]
    assert round_ > 0.98
    assert long < 0.35
    assert circularity(np.array([4.0]), np.array([1.0])).tolist() == [1.0]
    assert [each.tolist() for each in ellipse_axes(*np.array([[4.0], [1.0], [0.0]]))] == [[8], [4]]
