"""One process at a time, also after one was killed."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from samzoo.runtime.errors import StorageError
from samzoo.zoo.downloads.file_lock import locked

HOLD = (
    "import sys; from pathlib import Path; from samzoo.zoo.downloads.file_lock import locked\n"
    "with locked(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "locks" / "a")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def test_a_second_process_waits_and_says_so_once(holder, tmp_path):
    told = []

    def waiting():
        told.append("waits")
        threading.Timer(0.5, holder.stdin.close).start()

    with locked(tmp_path / "locks" / "a", waiting=waiting):
        assert holder.wait(timeout=60) == 0
    assert told == ["waits"]


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_a_killed_process_leaves_no_lock(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=60)
    told = []
    with locked(tmp_path / "locks" / "a", waiting=lambda: told.append("waits")):
        pass
    assert told == []


def test_the_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="mine"), locked(tmp_path / "a"):
        raise ValueError("mine")
    told = []
    with locked(tmp_path / "a", waiting=lambda: told.append("waits")):
        pass
    assert told == []


def test_an_error_of_the_block_is_not_one_of_the_lock(tmp_path):
    with pytest.raises(FileNotFoundError, match="mine"), locked(tmp_path / "a"):
        raise FileNotFoundError("mine")


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match=r"file.a: cannot be locked"),
        locked(tmp_path / "file" / "a"),
    ):
        pass


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), NotImplementedError("flock")])
def test_a_disk_without_locks_is_one_clear_error(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", fail)
    with pytest.raises(StorageError, match="cannot be locked"), locked(tmp_path / "a"):
        pass
