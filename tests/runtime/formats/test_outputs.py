"""What is written is whole or not there; what is there is not overwritten by accident."""

import errno
import os
from pathlib import Path

import pytest

from samzoo.runtime.errors import OutputExistsError, StorageError
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.formats.outputs import (
    check_output,
    check_output_folder,
    replacing,
    write_bytes,
    write_folder,
)


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


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
