"""Processes that train beside the first one: they start, are waited for, and end with it."""

import os
import subprocess
import sys
import time

import pytest

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.making.companions import READY, is_companion, started_companions

SHOWS = f"import os, time; print(os.environ['RANK'], flush=True); print({READY!r}, flush=True); "


def program(code):
    return [sys.executable, "-c", code]


def test_one_device_starts_nothing():
    with started_companions(1, ["train"], program=["no such program"]) as meet:
        assert meet is None
    assert not is_companion()


def test_companions_are_waited_for_and_end_with_the_first_process(tmp_path):
    code = f"{SHOWS} open(f'{tmp_path}/{{os.getpid()}}', 'w').close(); time.sleep(60)"
    before = dict(os.environ)
    with started_companions(3, [], program=program(code)) as meet:
        assert meet is not None
        meet()
        assert (os.environ["RANK"], os.environ["WORLD_SIZE"]) == ("0", "3")
        for _ in range(200):
            if len(found := [*tmp_path.iterdir()]) == 2:
                break
            time.sleep(0.05)
    assert dict(os.environ) == before
    for path in found:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name), 0)


def meet_one(code, *words, then=None):
    """Meet one companion, and end with an error if one is given."""
    with started_companions(2, words, program=program(code)) as meet:
        assert meet is not None
        meet()
        if then is not None:
            time.sleep(0.5)
            raise then


def test_a_companion_that_fails_before_they_meet_is_told():
    with pytest.raises(InputError, match="--devices: the process of device 1 failed: no memory"):
        meet_one("import sys; sys.exit('no memory here')")


def test_a_lost_connection_is_told_by_what_the_companion_said():
    lost = RuntimeError("connection closed")
    with pytest.raises(InputError, match="the process of device 1 failed: broke"):
        meet_one(f"{SHOWS} import sys; sys.exit('broke')", then=lost)
    with pytest.raises(RuntimeError, match="connection closed"):
        meet_one(f"{SHOWS} time.sleep(60)", then=lost)


def test_the_words_of_the_command_reach_the_companion():
    code = "import sys; sys.stderr.write(' '.join(sys.argv[1:])); sys.exit(1)"
    with pytest.raises(InputError, match="failed: train --devices 2"):
        meet_one(code, "train", "--devices", "2")


def test_a_companion_starts_none_and_says_that_it_is_ready():
    code = (
        "from samzoo.zoo.cli.making.companions import started_companions\n"
        "with started_companions(2, []) as meet: meet()"
    )
    done = subprocess.run(
        program(code), env={**os.environ, "_SAMZOO_TRAINING_RANK": "1"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"{READY}\n"
