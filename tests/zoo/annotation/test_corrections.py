"""Corrections from the command line, as values: checked before any work, and numbered."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import InputError
from samzoo.zoo.annotation.corrections import Correction, write_corrected

LABELS = np.array([[1, 1, 0, 0], [0, 0, 0, 5]], np.uint16)


@pytest.fixture
def correct(tmp_path):
    path = tmp_path / "l.tif"
    tifffile.imwrite(path, LABELS)
    return lambda **fields: Correction(path, tmp_path / "cells.tif", **fields)


def test_several_masks_are_added_with_the_next_numbers(correct):
    parts = [(0, 2, np.ones((1, 1), bool)), (1, 0, np.ones((1, 3), bool))]
    correction = correct()
    after, numbers = correction.changed(correction.read((2, 4), masks=2), parts)
    assert numbers == [6, 7]
    assert after.tolist() == [[1, 1, 6, 0], [7, 7, 7, 5]]
    write_corrected(correction.labels, after, sizes={"x": (0.5, "micrometer")})
    np.testing.assert_array_equal(tifffile.imread(correction.labels), after)


@pytest.mark.parametrize(
    ("fields", "masks", "message"),
    [({"replaced": 2}, 1, "object 2: is not in the labels; they hold 1, 5"),
     ({"deleted": (1, 3)}, 0, "object 3"),
     ({"replaced": 5}, 2, "--replace 5: needs one object's prompts, found 2")],
)  # fmt: skip
def test_what_does_not_fit_is_told_before_any_work(correct, fields, masks, message):
    with pytest.raises(InputError, match=message):
        correct(**fields).read((2, 4), masks=masks)
