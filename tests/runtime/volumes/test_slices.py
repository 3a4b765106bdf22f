"""Merging the labels of slices: micro-sam's partition, and volumes whose truth is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from bioimage_cpp.segmentation import label

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.volumes.slices import close_gaps, merge_slices

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "volumes.npz")
VARIATIONS = json.loads(str(GOLDENS["variations"]))


def assert_same_partition(found, expected):
    """The same objects under any numbers."""
    np.testing.assert_array_equal(found > 0, expected > 0)
    pairs = np.unique(np.stack([found[found > 0], expected[found > 0]]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("index", range(len(VARIATIONS)), ids=map(str, VARIATIONS))
def test_the_partition_is_micro_sams(seed, index):
    slices = GOLDENS[f"slices{seed}"].astype(np.int32)
    found = merge_slices(slices, overlap_of="earlier", **VARIATIONS[index])
    assert found.dtype == np.int32
    assert_same_partition(found, GOLDENS[f"merged{seed}_{index}"])


def test_the_variations_differ():
    merged = [GOLDENS[f"merged0_{index}"] for index in range(len(VARIATIONS))]
    assert len({m.tobytes() for m in merged}) == len(merged)


def spheres(n=12, shape=(20, 80, 80), seed=0):
    """Separate spheres, and the labels of each slice."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[tuple(slice(size) for size in shape)]
    truth = np.zeros(shape, np.int32)
    count = 0
    while count < n:
        radius = rng.uniform(4, 8)
        center = rng.uniform(radius, np.array(shape) - radius)
        distance = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, center, strict=True)))
        if not truth[distance < radius + 2].any():
            count += 1
            truth[distance < radius] = count
    return truth, np.stack([label(plane.astype(np.int32)) for plane in truth]).astype(np.int32)


def test_spheres_are_found_again():
    truth, slices = spheres()
    assert_same_partition(merge_slices(slices), truth)


def test_the_earlier_slice_s_share_cuts_ends_off():
    truth, slices = spheres()
    found = merge_slices(slices, overlap_of="earlier")
    assert found.max() > truth.max()


def test_numbers_of_one_slice_mean_nothing_in_another():
    truth, slices = spheres()
    rng = np.random.default_rng(0)
    for plane in slices:
        numbers = np.concatenate([[0], 1 + rng.permutation(200)])
        plane[...] = numbers[plane]
    assert_same_partition(merge_slices(slices), truth)


def test_labels_are_numbered_by_first_appearance():
    _, slices = spheres()
    found = merge_slices(slices)
    _, first = np.unique(found[found > 0], return_index=True)
    np.testing.assert_array_equal(np.sort(first), first)
    assert found.max() == len(np.unique(found)) - 1


def test_a_lost_slice_is_closed():
    truth, slices = spheres()
    label_5 = np.flatnonzero((truth == 5).any(axis=(1, 2)))
    middle = label_5[len(label_5) // 2]
    slices[middle][truth[middle] == 5] = 0
    split = merge_slices(slices)
    assert len(np.unique(split[truth == 5])) == 3  # two parts and the hole
    closed = merge_slices(slices, gap_closing=1)
    inside = truth == 5
    assert len(np.unique(closed[inside & (closed > 0)])) == 1
    assert (closed[middle][truth[middle] == 5] > 0).mean() > 0.8


def test_closing_joins_no_neighbours_within_a_slice():
    slices = np.zeros((3, 4, 9), np.int32)
    slices[:, :, :4], slices[:, :, 4:] = 1, 2
    closed = close_gaps(slices, 1)
    assert len(np.unique(closed[1])) == 2
    assert_same_partition(merge_slices(slices, gap_closing=1), slices)


def test_objects_in_few_slices_go():
    truth, slices = spheres()
    extents = [int((truth == i).any(axis=(1, 2)).sum()) for i in range(1, truth.max() + 1)]
    limit = sorted(extents)[4]
    found = merge_slices(slices, min_z_extent=limit)
    kept = [i + 1 for i, extent in enumerate(extents) if extent >= limit]
    assert_same_partition(found, np.where(np.isin(truth, kept), truth, 0))


def test_a_slice_without_background_keeps_its_objects():
    slices = np.zeros((2, 4, 6), np.int32)
    slices[0, :, :3], slices[0, :, 3:] = 1, 2
    slices[1, :, :3] = 7
    found = merge_slices(slices)
    np.testing.assert_array_equal(found[0], np.where(np.arange(6) < 3, 1, 2) * np.ones((4, 1)))
    np.testing.assert_array_equal(found[1, :, :3], 1)


@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 5, 5), (0, 5, 5)])
def test_an_empty_stack_stays_empty(shape):
    found = merge_slices(np.zeros(shape, np.int32))
    assert found.shape == shape
    assert not found.any()


def test_wrong_stacks_are_refused():
    with pytest.raises(ShapeError, match="slice, height, width"):
        merge_slices(np.zeros((5, 5), np.int32))
    with pytest.raises(InputError, match="integers"):
        merge_slices(np.zeros((2, 5, 5), np.float32))
    with pytest.raises(InputError, match="integers"):
        merge_slices(np.full((2, 5, 5), -1, np.int32))
    with pytest.raises(InputError, match="allowed: smaller, earlier"):
        merge_slices(np.zeros((2, 5, 5), np.int32), overlap_of="later")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="gap_closing"):
        merge_slices(np.zeros((2, 5, 5), np.int32), gap_closing=-1)
