"""Labels in a tiled TIFF: every pixel as it was given, whatever the bands."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime.windows.label_tiff import write_label_tiff


class BreakableBands:
    """Labels in bands; the ``broken``-th fails."""

    def __init__(self, labels, height, dtype, broken=None):
        self.labels, self.band_height, self.dtype = labels, height, np.dtype(dtype)
        self.size, self.broken = labels.shape, broken
        self.count = int(labels.max(initial=0))

    def bands(self):
        for number, row in enumerate(range(0, len(self.labels), self.band_height)):
            if number == self.broken:
                raise RuntimeError("the work failed")
            yield self.labels[row : row + self.band_height]


@pytest.mark.parametrize("size", [(16, 16), (100, 70), (1, 1), (600, 530)])
@pytest.mark.parametrize("height", [16, 48, 512])
def test_pixels_come_back(tmp_path, rng, size, height):
    labels = rng.integers(0, 60000, size).astype(np.int32)
    told = []
    write_label_tiff(
        tmp_path / "labels.tif",
        BreakableBands(labels, height, np.uint16),
        lambda *step: told.append(step),
    )
    found = tifffile.imread(tmp_path / "labels.tif")
    np.testing.assert_array_equal(found, labels)
    assert found.dtype == np.uint16
    assert [step[1] for step in told] == list(range(1, told[-1][2] + 1))


def test_numbers_above_16_bits_are_kept(tmp_path):
    labels = np.array([[0, 70000], [2**31 - 1, 1]], np.int32)
    write_label_tiff(tmp_path / "labels.tif", BreakableBands(labels, 16, np.int32))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), labels)


def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path):
    (tmp_path / "labels.tif").write_bytes(b"older")
    labels = np.ones((64, 32), np.int32)
    with pytest.raises(RuntimeError, match="the work failed"):
        write_label_tiff(tmp_path / "labels.tif", BreakableBands(labels, 16, np.uint16, broken=2))
    assert [path.name for path in tmp_path.iterdir()] == ["labels.tif"]
    assert (tmp_path / "labels.tif").read_bytes() == b"older"
