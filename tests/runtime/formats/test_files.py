"""Files from strangers are refused with one message."""

import json
from typing import Any

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats import files, tensor_files
from samzoo.runtime.formats.files import (
    read_json,
    read_metadata,
    read_tensors,
    sha256_of,
    write_json,
    write_tensors,
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a JSON file"),
        (b"{", "not a JSON file"),
        (b"\xff\xfe", "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b'{"a": NaN}', "not a JSON file .NaN is not a number in JSON"),
        (b'{"a": -Infinity}', "not a JSON file"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands in one object twice"),
        (b"[1]", "expected a JSON object, found 'list'"),
        (b'"x"', "expected a JSON object, found 'str'"),
    ],
)
def test_unusable_json_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_a_config_of_many_megabytes_is_refused_without_reading_it(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 10)
    (tmp_path / "a.json").write_text(json.dumps({"a": "b" * 20}))
    with pytest.raises(FormatError, match="29 bytes is too large for a config file"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("read", [read_json, read_tensors, read_metadata, sha256_of])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(NotFoundError, match="nothing: no such file"):
        read(tmp_path / "nothing")


def test_tensors_survive_the_file_in_any_memory_layout(tmp_path):
    tensors: dict[str, Any] = {
        "b": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "a": np.array(7, np.int64),
        "half": np.ones((0, 2), np.float16),
    }
    write_tensors(tmp_path / "t.safetensors", tensors, {"key": "value"})
    found = read_tensors(tmp_path / "t.safetensors")
    assert sorted(found) == sorted(tensors)
    for name, value in tensors.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype
    assert read_metadata(tmp_path / "t.safetensors") == {"key": "value"}


@pytest.mark.parametrize("metadata", [{}, {"key": "value"}])
def test_a_file_without_tensors_can_be_read_again(tmp_path, metadata):
    write_tensors(tmp_path / "t.safetensors", {}, metadata)
    assert read_tensors(tmp_path / "t.safetensors") == {}
    assert read_metadata(tmp_path / "t.safetensors") == metadata


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\xff" * 64, b"\x08" + bytes(15)])
def test_files_that_are_no_safetensors_are_refused(tmp_path, content):
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    for read in (read_tensors, read_metadata):
        with pytest.raises(FormatError, match="not a usable safetensors file"):
            read(path)


def test_a_truncated_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"a": np.ones(100, np.float32)}, {})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FormatError, match="not a usable safetensors file"):
        read_tensors(path)


def test_a_dtype_that_numpy_has_not_is_refused(tmp_path):
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path = tmp_path / "t.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(FormatError, match="tensor 'a' is stored as BF16, allowed are BOOL, U8"):
        read_tensors(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_tensor(tmp_path, value):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"good": np.ones(2, np.float32), "bad": np.array([value], "f4")}, {})
    with pytest.raises(FormatError, match="tensor 'bad' holds NaN or infinite values"):
        read_tensors(path)


def test_too_many_tensors_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_files, "MAX_TENSORS", 2)
    write_tensors(tmp_path / "t.safetensors", {n: np.ones(1, "f4") for n in "abc"}, {})
    with pytest.raises(FormatError, match="3 tensors, allowed are 2"):
        read_tensors(tmp_path / "t.safetensors")


def test_json_never_holds_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []
