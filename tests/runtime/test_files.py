"""Files are whole or not there; files from strangers are refused with one message."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samzoo.runtime import files
from samzoo.runtime.errors import FormatError, NotFoundError, OutputExistsError, StorageError
from samzoo.runtime.files import (
    check_output,
    check_output_folder,
    read_json,
    read_metadata,
    read_tensors,
    replacing,
    sha256_of,
    write_bytes,
    write_folder,
    write_json,
    write_tensors,
)


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a JSON file"),
        (b"{", "not a JSON file"),
        (b"\xff\xfe", "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b'{"a": NaN}', "not a JSON file .NaN is not a number in JSON"),
        (b'{"a": -Infinity}', "not a JSON file"),
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
    with pytest.raises(FormatError, match="tensor 'a' is stored as BF16, allowed are F16, F32"):
        read_tensors(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_tensor(tmp_path, value):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"good": np.ones(2, np.float32), "bad": np.array([value], "f4")}, {})
    with pytest.raises(FormatError, match="tensor 'bad' holds NaN or infinite values"):
        read_tensors(path)


def test_too_many_tensors_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_TENSORS", 2)
    write_tensors(tmp_path / "t.safetensors", {n: np.ones(1, "f4") for n in "abc"}, {})
    with pytest.raises(FormatError, match="3 tensors, allowed are 2"):
        read_tensors(tmp_path / "t.safetensors")


def test_json_never_holds_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert names_in(tmp_path) == []


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_bytes(path, b"first")
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match=r"a\.bin: cannot be written .No space left on device"):
        write_bytes(path, b"second")
    assert path.read_bytes() == b"first"
    assert names_in(tmp_path) == ["a.bin"]


def test_an_interrupt_while_writing_leaves_the_older_file(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"first")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_bytes(b"sec")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"first"
    assert names_in(tmp_path) == ["a.bin"]


def test_the_temporary_file_keeps_the_suffix(tmp_path):
    with replacing(tmp_path / "deep" / "a.png") as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"x")
    assert (tmp_path / "deep" / "a.png").read_bytes() == b"x"


def test_a_path_below_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written"):
        write_bytes(tmp_path / "file" / "a.bin", b"x")
    with pytest.raises(StorageError, match="cannot be written"):
        write_folder(tmp_path / "file" / "folder", lambda folder: None, force=False)


def test_an_existing_output_needs_force(tmp_path):
    path = tmp_path / "a.tif"
    check_output(path, force=False)
    path.write_text("x")
    check_output(path, force=True)
    with pytest.raises(OutputExistsError, match=r"a\.tif: exists already; pass --force"):
        check_output(path, force=False)


def test_an_input_is_never_the_output_even_by_another_name(tmp_path):
    (tmp_path / "folder").mkdir()
    given = tmp_path / "folder" / "a.tif"
    given.write_text("x")
    (tmp_path / "link.tif").symlink_to(given)
    for output in (given, tmp_path / "link.tif", tmp_path / "folder"):
        with pytest.raises(OutputExistsError, match="would replace the input"):
            check_output(output, force=True, inputs=[given])


def fill(folder):
    write_json(folder / "config.json", {"new": True})


def test_a_folder_appears_when_it_is_complete(tmp_path):
    def check_hidden(folder):
        assert not (tmp_path / "out").exists()
        fill(folder)

    write_folder(tmp_path / "out", check_hidden, force=False)
    assert names_in(tmp_path / "out") == ["config.json"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755
    assert names_in(tmp_path) == ["out"]


def test_force_replaces_an_artefact_as_a_whole(tmp_path):
    write_folder(tmp_path / "out", fill, force=False)
    (tmp_path / "out" / "more.txt").write_text("old")
    with pytest.raises(OutputExistsError, match="pass --force"):
        write_folder(tmp_path / "out", fill, force=False)
    write_folder(tmp_path / "out", fill, force=True)
    assert names_in(tmp_path / "out") == ["config.json"]
    assert names_in(tmp_path) == ["out"]


def test_force_never_replaces_what_samzoo_did_not_write(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("photos", "file"):
        with pytest.raises(OutputExistsError, match="not a folder that samzoo wrote"):
            check_output_folder(tmp_path / name, force=True)
        with pytest.raises(OutputExistsError, match="not a folder that samzoo wrote"):
            write_folder(tmp_path / name, fill, force=True)
    assert (tmp_path / "photos" / "a.jpg").read_text() == "x"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError()]
)
def test_a_folder_that_could_not_be_filled_leaves_the_older_one(tmp_path, error):
    write_folder(tmp_path / "out", fill, force=False)

    def fail(folder):
        (folder / "config.json").write_text("{}")
        raise error

    expected = StorageError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        write_folder(tmp_path / "out", fail, force=True)
    assert read_json(tmp_path / "out" / "config.json") == {"new": True}
    assert names_in(tmp_path) == ["out"]


def test_a_folder_that_could_not_be_moved_leaves_the_older_one(tmp_path, monkeypatch):
    write_folder(tmp_path / "out", fill, force=False)
    real, calls = os.replace, []

    def replace(source, target):
        if Path(target) == tmp_path / "out":
            calls.append(source)
            if len(calls) == 1:
                no_space()
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(StorageError, match="No space left"):
        write_folder(tmp_path / "out", lambda folder: fill(folder), force=True)
    assert read_json(tmp_path / "out" / "config.json") == {"new": True}
    assert names_in(tmp_path) == ["out"]
