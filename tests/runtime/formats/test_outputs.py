"""What is written is whole or not there; what is there is not overwritten by accident."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from samzoo.runtime.errors import OutputExistsError, StorageError
from samzoo.runtime.formats import outputs
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.formats.outputs import (
    check_output,
    check_output_folder,
    new_folder,
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
    monkeypatch.setattr(outputs, "_exchange", lambda *_: False)  # as on other systems
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


def mode(path):
    return path.stat().st_mode & 0o777


def test_the_umask_is_kept(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a.bin", b"x")
        write_folder(tmp_path / "out", fill, force=False)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a.bin"), mode(tmp_path / "out")) == (0o640, 0o750)


def half_written(folder, name="a"):
    """What a killed process leaves: a file and a folder with temporary names, without locks."""
    (folder / f".{name}.1234567.part.bin").write_bytes(b"half")
    (folder / f".{name}.12.part").mkdir()
    (folder / f".{name}.12.part" / "config.json").write_text("{")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_what_a_killed_process_left_is_deleted_at_the_next_write(tmp_path):
    half_written(tmp_path)
    (tmp_path / ".hidden.part").write_text("the user's")
    (tmp_path / "a.1234567.part.bin").write_text("the user's")
    outputs._clean.cache_clear()
    write_bytes(tmp_path / "b.bin", b"x")
    assert names_in(tmp_path) == [".hidden.part", "a.1234567.part.bin", "b.bin"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_what_another_writes_now_is_left_alone(tmp_path):
    with replacing(tmp_path / "a.bin") as ours, new_folder(tmp_path / "out") as folder:
        ours.write_bytes(b"half")
        outputs._clean.cache_clear()
        write_bytes(tmp_path / "b.bin", b"x")
        assert ours.read_bytes() == b"half"
        assert folder.is_dir()
    assert names_in(tmp_path) == ["a.bin", "b.bin", "out"]


def test_a_link_with_a_temporary_name_is_never_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("safe")
    (tmp_path / ".a.0000007.part.bin").symlink_to(victim)
    numbers = iter([7, 7, 8])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(numbers))
    outputs._clean(str(tmp_path))
    write_bytes(tmp_path / "a.bin", b"x")
    assert victim.read_text() == "safe"


def killed_while_replacing(folder, where):
    """Run a replacement in another process that is killed at the call ``where`` of ``os``."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from samzoo.runtime.formats import outputs\n"
        "def die(*_, **__):\n"
        "    os.kill(os.getpid(), 9)\n"
        f"{where}\n"
        "def fill(folder):\n"
        "    (folder / 'config.json').write_text('new')\n"
        "outputs.write_folder(Path(sys.argv[1]), fill, force=True)\n"
    )
    return subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode


POINTS = {
    "before the exchange": "outputs._exchange = die",
    "after it": "outputs.shutil.rmtree = die",
    "without an exchange, before": "outputs._exchange = lambda *_: False; outputs.os.replace = die",
    "without an exchange, between": (
        "outputs._exchange = lambda *_: False\n"
        "real, done = os.replace, []\n"
        "def replace(*each):\n"
        "    done and die()\n"
        "    done.append(real(*each))\n"
        "outputs.os.replace = replace"
    ),
}


def filled_with(text):
    def write(folder: Path) -> None:
        (folder / "config.json").write_text(text)

    return write


@pytest.mark.skipif(os.name == "nt", reason="kills with SIGKILL")
@pytest.mark.parametrize("where", POINTS.values(), ids=POINTS)
def test_a_replacement_that_is_killed_loses_nothing(tmp_path, where):
    path = tmp_path / "out"
    write_folder(path, filled_with("old"), force=False)
    assert killed_while_replacing(path, where) == -9
    if "real, done" not in where:  # elsewhere the folder is there all the time
        assert (path / "config.json").read_text() in ("old", "new")
    outputs._clean.cache_clear()
    check_output_folder(path, force=True)  # what the next command does first
    assert (path / "config.json").read_text() in ("old", "new")
    write_folder(path, filled_with("newer"), force=True)
    assert (path / "config.json").read_text() == "newer"
    assert names_in(tmp_path) == ["out"]
