"""Safetensors tensor by tensor: the same bytes as in one go, and what cannot be read is refused."""

import json
from typing import Any

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.files import read_tensors, write_tensors
from samzoo.runtime.formats.tensor_files import (
    BFLOAT16,
    DTYPES,
    TensorFile,
    TensorInfo,
    stream_tensors,
)

TENSORS: dict[str, Any] = {
    "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.count": np.array(7, np.int64),
    "a.half": np.ones((3, 1), np.float16),
    "c.flag": np.array([True, False, True]),
    "c.empty": np.zeros((0, 4), np.float32),
    "c.double": np.array([1.5]),
}


def info_of(tensors):
    return {name: TensorInfo(value.dtype.name, value.shape) for name, value in tensors.items()}


def test_streaming_writes_the_bytes_of_safetensors_own_writer(tmp_path):
    for metadata in ({"format": "pt"}, {}):
        write_tensors(tmp_path / "whole", TENSORS, metadata)
        digest = stream_tensors(tmp_path / "stream", TENSORS, info_of(TENSORS), metadata)
        assert (tmp_path / "stream").read_bytes() == (tmp_path / "whole").read_bytes()
        assert digest == weights_digest(TENSORS)
        write_tensors(tmp_path / "whole", {}, metadata)
        stream_tensors(tmp_path / "stream", {}, {}, metadata)
        assert (tmp_path / "stream").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_tensor_is_read_when_it_is_asked_for(tmp_path):
    write_tensors(tmp_path / "t", TENSORS, {"key": "value"})
    file = TensorFile(tmp_path / "t")
    assert list(file) == sorted(TENSORS)
    assert file.info == info_of(TENSORS)
    assert file.metadata == {"key": "value"}
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(file[name], value)
        assert file[name].dtype == value.dtype
    file["b.weight"][:] = 0  # a copy
    np.testing.assert_array_equal(file["b.weight"], TENSORS["b.weight"])
    with pytest.raises(KeyError):
        file["other"]


def test_the_digest_of_a_file_needs_only_one_tensor_at_a_time(tmp_path):
    import tracemalloc

    tensors = {f"t{i}": np.full(2**18, i, np.float32) for i in range(16)}  # 1 MB each
    write_tensors(tmp_path / "t", tensors, {})
    expected = weights_digest(tensors)
    tracemalloc.start()
    try:
        assert weights_digest(TensorFile(tmp_path / "t")) == expected
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * 2**20  # the tensor, and whether each value is finite


def write_raw(path, dtype, shape, data):
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"a": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def test_bfloat16_is_read_as_float32_where_it_is_allowed(tmp_path):
    values = np.array([1.0, -2.5, 0.15625], np.float32)
    write_raw(tmp_path / "t", BFLOAT16, [3], (values.view(np.uint32) >> 16).astype("<u2").tobytes())
    file = TensorFile(tmp_path / "t", dtypes=[*DTYPES, BFLOAT16])
    assert file.info == {"a": TensorInfo("float32", (3,))}
    np.testing.assert_array_equal(file["a"], values)
    with pytest.raises(FormatError, match="tensor 'a' is stored as BF16"):
        TensorFile(tmp_path / "t")


def test_values_that_are_not_finite_are_refused_when_they_are_read(tmp_path):
    write_tensors(tmp_path / "t", {"bad": np.array([np.inf], "f4"), "good": np.ones(1, "f4")}, {})
    file = TensorFile(tmp_path / "t")
    assert file["good"] == 1
    with pytest.raises(FormatError, match="tensor 'bad' holds NaN or infinite values"):
        file["bad"]


def test_a_file_that_becomes_shorter_is_refused(tmp_path):
    write_tensors(tmp_path / "t", {"a": np.ones(100, np.float32)}, {})
    file = TensorFile(tmp_path / "t")
    (tmp_path / "t").write_bytes((tmp_path / "t").read_bytes()[:-4])
    with pytest.raises(FormatError, match="tensor 'a' is cut off"):
        file["a"]
    with pytest.raises(FormatError, match="not a usable safetensors file"):
        TensorFile(tmp_path / "t")
    with pytest.raises(NotFoundError, match="no such file"):
        TensorFile(tmp_path / "none")


def test_an_error_while_streaming_leaves_nothing(tmp_path):
    class Broken(dict[str, Any]):
        def __getitem__(self, name):
            if name == "b.weight":
                raise FormatError("overflow")
            return super().__getitem__(name)

    with pytest.raises(FormatError, match="overflow"):
        stream_tensors(tmp_path / "t", Broken(TENSORS), info_of(TENSORS), {})
    assert list(tmp_path.iterdir()) == []


def test_what_was_streamed_is_read_again(tmp_path):
    stream_tensors(tmp_path / "t", TENSORS, info_of(TENSORS), {})
    found = read_tensors(tmp_path / "t")
    assert sorted(found) == sorted(TENSORS)
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_pointer_of_git_lfs_is_told(tmp_path):
    """What a clone without git-lfs holds instead of weights."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(FormatError, match=r"model\.safetensors: is a git-lfs pointer .*lfs pull"):
        TensorFile(path)
