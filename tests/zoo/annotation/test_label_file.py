"""Label files that are corrected: refused before a number of theirs could be lost."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import ImageError, InputError, NotFoundError
from samzoo.zoo.annotation.label_file import locked_labels, read_editable

IMAGE = Path("cells.tif")


@pytest.mark.parametrize(
    ("name", "values", "error", "message"),
    [
        ("l.tif", np.zeros((4, 6), np.uint8), ImageError, "labels are 4 x 6 pixels .* cells.tif "
         "is 4 x 5"),
        ("l.tif", np.full((4, 5), -1, np.int16), ImageError, "holds -1"),
        ("l.tif", np.full((4, 5), 2**30, np.int32), ImageError, "too large to stay"),
        ("l.npy", np.zeros((4, 5), np.uint8), InputError, "are corrected in .tif"),
        ("l.tif", np.full((4, 5), 0.5, np.float32), ImageError, "fractions"),
    ],
)  # fmt: skip
def test_what_would_be_lost_is_refused(tmp_path, name, values, error, message):
    path = tmp_path / name
    (np.save if name.endswith("npy") else tifffile.imwrite)(path, values)
    with pytest.raises(error, match=message):
        read_editable(path, (4, 5), image=IMAGE)


def test_labels_keep_their_numbers(tmp_path):
    labels = np.arange(20, dtype=np.int32).reshape(4, 5) * 1000
    tifffile.imwrite(tmp_path / "l.tif", labels)
    np.testing.assert_array_equal(read_editable(tmp_path / "l.tif", (4, 5), image=IMAGE), labels)
    with pytest.raises(NotFoundError):
        read_editable(tmp_path / "m.tif", (4, 5), image=IMAGE)


def test_labels_are_locked_for_one_and_nothing_stays(tmp_path):
    path = tmp_path / "new" / "l.tif"
    with locked_labels(path):
        with pytest.raises(InputError, match=r"l.tif: is being annotated in another window"):
            with locked_labels(path):
                pass
        with locked_labels(tmp_path / "new" / "other.tif"):
            pass
    with locked_labels(path):
        pass
    assert list(path.parent.iterdir()) == []
