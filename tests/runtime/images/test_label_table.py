"""The table of objects, against scikit-image where it has the same."""

import numpy as np
import pytest

from samzoo.runtime.images.label_table import LabelTable, write_tables

measure = pytest.importorskip("skimage.measure")


@pytest.fixture
def labels(rng):
    coarse = rng.integers(0, 12, (9, 11))
    return np.kron(coarse, np.ones((7, 6))).astype(np.int32)


def table(labels, height):
    found = LabelTable(labels.shape)
    for y in range(0, len(labels), height):
        found.add(labels[y : y + height])
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows()]


@pytest.mark.parametrize("height", [1, 5, 63])
def test_sizes_and_places_are_those_of_scikit_image(labels, height):
    rows = table(labels, height)
    regions = measure.regionprops(labels)
    assert [row["label"] for row in rows] == [region.label for region in regions]
    for row, region in zip(rows, regions, strict=True):
        assert row["area"] == region.area
        assert (row["centroid_y"], row["centroid_x"]) == pytest.approx(region.centroid, abs=1e-3)
        assert (row["y0"], row["x0"], row["y1"], row["x1"]) == region.bbox


@pytest.mark.parametrize("height", [1, 5, 63])
def test_touching_counts_neighbours_over_edges_and_corners(labels, height):
    padded = np.pad(labels, 1)
    expected = {}
    for label in np.unique(labels[labels > 0]):
        rows, columns = np.nonzero(padded == label)
        around = {int(padded[r + i, c + j]) for r, c in zip(rows, columns, strict=True)
                  for i in (-1, 0, 1) for j in (-1, 0, 1)}  # fmt: skip
        expected[int(label)] = len(around - {0, int(label)})
    rows = table(labels, height)
    assert {row["label"]: row["touching"] for row in rows} == expected
    height, width = labels.shape
    for row in rows:
        box = row["y0"] == 0 or row["x0"] == 0 or row["y1"] == height or row["x1"] == width
        assert row["touches_border"] == int(box)


def test_no_objects_give_an_empty_table(tmp_path):
    found = LabelTable((4, 5))
    found.add(np.zeros((4, 5), np.int32))
    found.write(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == ",".join(found.columns) + "\n"


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_a_volume_has_voxels_and_touches_in_three_directions(rng, depth):
    coarse = rng.integers(0, 9, (4, 5, 6))
    labels = np.kron(coarse, np.ones((2, 3, 4))).astype(np.int32)
    found = LabelTable(labels.shape)
    for z in range(0, len(labels), depth):
        found.add(labels[z : z + depth])
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows()]
    regions = measure.regionprops(labels)
    padded = np.pad(labels, 1)
    assert [row["label"] for row in rows] == [region.label for region in regions]
    for row, region in zip(rows, regions, strict=True):
        box = tuple(row[axis + end] for end in "01" for axis in "zyx")
        centroid = [row[f"centroid_{axis}"] for axis in "zyx"]
        around = {
            int(value)
            for z, y, x in np.argwhere(padded == row["label"])
            for value in np.unique(padded[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2])
        }
        assert (row["voxels"], box) == (region.area, region.bbox)
        assert centroid == pytest.approx(region.centroid, abs=1e-3)
        assert row["touching"] == len(around - {0, row["label"]})


def test_tables_of_frames_are_one_with_their_numbers(tmp_path):
    tables = [LabelTable((2, 3)) for _ in range(3)]
    for table, label in zip(tables, (0, 1, 2), strict=True):
        table.add(np.array([[0, 0, 0], [0, label, 0]]))
    write_tables(tmp_path / "t.csv", tables, "plane")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0].startswith("plane,label,area,")
    assert [line.split(",")[:3] for line in lines[1:]] == [["1", "1", "1"], ["2", "2", "1"]]


@pytest.mark.parametrize("height", [1, 5, 63])
def test_very_large_ids_take_a_row_each_and_no_more(labels, height):
    large = np.where(labels > 5, labels + 2_000_000_000, labels)
    expected = table(labels, height)
    for row in expected:
        row["label"] += 2_000_000_000 * (row["label"] > 5)
    assert table(large, height) == expected
