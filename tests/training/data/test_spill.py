"""Lists of arrays of which some lie on the disk."""

import numpy as np
import pytest

from samzoo.runtime.errors import StorageError
from samzoo.training.data import spill
from samzoo.training.data.spill import SpilledArrays

ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.ones((4, 4), np.int32)[::2],
    np.zeros((3, 2), np.float32),
]


def filled(folder, memory):
    arrays = SpilledArrays(folder, memory=memory)
    for array in ARRAYS:
        arrays.append(array)
    return arrays


@pytest.mark.parametrize(("memory", "files"), [(0, 3), (30, 2), (10**6, 0)])
def test_arrays_come_back_from_memory_and_disk(tmp_path, memory, files):
    arrays = filled(tmp_path / "spill", memory)
    assert len(list(tmp_path.rglob("*.safetensors"))) == files
    assert len(arrays) == 3
    for found, wanted in zip(arrays, ARRAYS, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(arrays[1:][0], ARRAYS[1])
    with pytest.raises(IndexError):
        arrays[3]


def test_with_a_full_disk_all_stay_in_memory(tmp_path, monkeypatch):
    def full(path, tensors, metadata):
        raise StorageError("disk full")

    monkeypatch.setattr(spill, "write_tensors", full)
    for found, wanted in zip(filled(tmp_path, 0), ARRAYS, strict=True):
        np.testing.assert_array_equal(found, wanted)
