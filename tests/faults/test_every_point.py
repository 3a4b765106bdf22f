"""Files survive kills, full disks and broken disks: some operations of some verbs here.

``PYTHONPATH=tests python -m faults.every_point`` takes all operations of all verbs.
"""

import errno
import json
import os
import subprocess
import sys

import pytest
from faults.every_point import digest, points
from faults.injector import built_shim

SAMPLE = ("index", "merge")
"""Verbs that take little time: one writes a file, one a folder."""

FAIL = """
import ctypes, os, sys
from pathlib import Path
folder, at, kind = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
arm = ctypes.CDLL(None).faults_arm
arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
arm(os.fsencode(folder), at, kind, -1)
try:
    (folder / "a").write_bytes(b"12345678")
    os.replace(folder / "a", folder / "b")
    os.unlink(folder / "b")
except OSError as error:
    print(error.errno)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    library, reason = built_shim(tmp_path_factory.mktemp("shim"))
    if library is None:
        pytest.skip(reason)
    return library


def fail(shim, folder, at, kind):
    folder.mkdir()
    return subprocess.run(
        [sys.executable, "-c", FAIL, str(folder), str(at), str(kind)],
        env={**os.environ, "LD_PRELOAD": str(shim)}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at", "left"), [(1, {}), (2, {"a": b"1234"}), (3, {"a": b"12345678"}), (4, {"b": b"12345678"})]
)
def test_the_shim_kills_within_an_operation(shim, tmp_path, at, left):
    done = fail(shim, tmp_path / "w", at, -1)
    assert done.returncode == -9
    assert {path.name: path.read_bytes() for path in (tmp_path / "w").iterdir()} == left


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_the_shim_fails_an_operation(shim, tmp_path, number):
    done = fail(shim, tmp_path / "w", 3, number)
    assert (done.returncode, done.stdout) == (0, f"{number}\n")
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["a"]


def test_a_file_of_many_writes_is_stopped_at_three_of_them():
    operations = [("open", "a"), *[("write", "a")] * 50, ("unlink", "a")]
    assert points(operations, "KILL") == [1, 2, 26, 51, 52]
    assert points(operations, "ENOSPC") == [1, 2, 26, 51]
    assert points(operations, "KILL", each=2, start=1) == [2, 51]


def test_times_are_no_part_of_a_result(tmp_path):
    found = []
    for name, seconds in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.json").write_text(json.dumps({"x": [{"seconds": seconds}]}))
        (tmp_path / name / f".{name}.part").write_text(name)
        found.append(digest(tmp_path / name))
    assert found[0] == found[1]
    (tmp_path / "b" / "d").write_text("")
    assert digest(tmp_path / "b") != found[0]


def test_no_stopped_operation_leaves_a_bad_state(shim):
    done = subprocess.run(
        [sys.executable, "-m", "faults.every_point", "--each", "40", "--only", *SAMPLE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert {row[0].strip("| ") for row in rows} == set(SAMPLE)
