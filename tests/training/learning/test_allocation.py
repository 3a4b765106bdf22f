"""The call to the C library, which changes nothing but speed."""

import ctypes
import subprocess
import sys

import pytest

from samzoo.training.learning import allocation as memory


def test_it_says_whether_it_had_an_effect(tmp_path):
    """In a process of its own, since it cannot be undone."""
    code = "from samzoo.training.learning import allocation; print(allocation.keep_freed_memory())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout in ("True\n", "False\n")


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_are_left_alone(monkeypatch, platform):
    monkeypatch.setattr("samzoo.training.learning.allocation.sys.platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert memory.keep_freed_memory() is False


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_another_c_library_is_left_alone(monkeypatch, error):
    def missing(_):
        raise error

    monkeypatch.setattr("samzoo.training.learning.allocation.sys.platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert memory.keep_freed_memory() is False
