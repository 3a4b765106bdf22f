"""Commands in processes of their own: how they ended, what they said, what they held."""

import os
import sys
import time

import pytest

from samzoo.runtime.errors import StorageError
from samzoo.zoo.studies import processes
from samzoo.zoo.studies.processes import run_command

PYTHON = (sys.executable, "-c")


def test_it_says_how_a_command_ended_and_keeps_what_it_said(tmp_path):
    log = tmp_path / "run" / "log.txt"
    first = run_command(["import sys; sys.exit('bad ' * 400)"], log, program=PYTHON)
    assert first.code == 1
    assert first.told == ("bad " * 400).strip()[-processes.MOST_TOLD :]
    second = run_command(
        ["print('out'); import sys; sys.stderr.write('fine')"], log, program=PYTHON
    )
    assert (second.code, second.told) == (0, "fine")
    assert log.read_text().startswith("bad ")
    assert log.read_text().endswith("fine")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say it")
def test_memory_is_at_least_what_the_process_held(tmp_path):
    code = f"x = bytearray({5 * 10**8})"
    assert run_command([code], tmp_path / "log", program=PYTHON).peak_bytes > 5e8


@pytest.mark.skipif(os.name == "nt", reason="signals are another matter on Windows")
def test_an_interrupt_reaches_the_command_once_and_waits_for_its_end(tmp_path, monkeypatch):
    code = f"""
import pathlib, time
try:
    pathlib.Path({str(tmp_path / "begun")!r}).touch()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.3)
    pathlib.Path({str(tmp_path / "saved")!r}).touch()
"""
    wait, calls = processes._wait, []

    def interrupted(process):
        calls.append(process)
        if len(calls) == 1:
            while not (tmp_path / "begun").exists():
                time.sleep(0.05)
            raise KeyboardInterrupt
        return wait(process)

    monkeypatch.setattr(processes, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_command([code], tmp_path / "log", program=PYTHON)
    assert (tmp_path / "saved").exists()
    assert calls[0].returncode is not None


def test_a_log_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        run_command(["pass"], tmp_path / "file" / "log", program=PYTHON)
