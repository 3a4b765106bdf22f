"""The finished labels: small objects removed over all blocks, numbers without gaps."""

import numpy as np
import pytest

from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.tiles import whole
from samzoo.runtime.pieces.numbering import NUMBERS
from samzoo.runtime.pieces.object_steps import OBJECTS
from samzoo.runtime.pieces.plan import Plan
from samzoo.runtime.pieces.result import Result
from samzoo.runtime.pieces.work import WorkFolder


@pytest.fixture
def make_result(tmp_path):
    """Cut labels into blocks and read them back: ``make_result(labels, min_size=...)``."""

    def make(labels, *, min_size, block=4):
        plan = Plan(
            labels.shape, (tuple(whole(labels.shape)),), AisParameters(min_size=min_size), block
        )
        work = WorkFolder(tmp_path)
        count = int(labels.max())
        work.write(
            NUMBERS, 0,
            {"offsets": np.array([0, count]), "numbers": np.arange(1, count + 1, dtype=np.int32),
             "heights": np.array([0.0, 1.0])},
        )  # fmt: skip
        for index in range(plan.blocks):
            y0, x0, y1, x1 = plan.block_window(index)
            piece = labels[y0:y1, x0:x1]
            ids, areas = np.unique(piece[piece > 0], return_counts=True)
            work.write(OBJECTS, index, {"labels": piece, "ids": ids, "areas": areas})
        return Result(plan, work)

    return make


@pytest.fixture
def labels():
    """Areas of 1 to 4: 1, 2 (over two blocks), 3 and 4, in a picture of two by two blocks."""
    found = np.zeros((7, 6), np.int32)
    found[0, 0] = 1
    found[3:5, 0] = 2
    found[6, 0:3] = 3
    found[5:7, 4:6] = 4
    return found


@pytest.mark.parametrize(
    ("min_size", "kept"),
    [(0, [1, 2, 3, 4]), (1, [1, 2, 3, 4]), (2, [2, 3, 4]), (4, [4]), (5, [])],
)
def test_objects_are_removed_by_their_area_over_all_blocks(make_result, labels, min_size, kept):
    result = make_result(labels, min_size=min_size)
    expected = np.zeros_like(labels)
    for number, old in enumerate(kept, start=1):
        expected[labels == old] = number
    np.testing.assert_array_equal(np.concatenate(list(result.bands())), expected)
    assert result.count == len(kept)


def test_windows_are_the_bands_with_their_rows_in_the_dtype_to_write(make_result, labels):
    result = make_result(labels, min_size=0)
    windows = list(result.windows())
    assert [(plane, row, len(band)) for plane, row, band in windows] == [((), 0, 4), ((), 4, 3)]
    assert {band.dtype for *_, band in windows} == {result.dtype} == {np.dtype(np.uint16)}
    assert (result.band_height, result.planes) == (4, ())
