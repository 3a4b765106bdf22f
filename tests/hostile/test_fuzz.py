"""A few mutated files of each kind; the whole is a command, see ``fuzz.py``."""

import random

import pytest
from hostile.fuzz import fuzz, mutated, read_one
from hostile.kinds import KINDS

from samzoo.runtime.errors import InputError

FEW = 15


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "whole.onnx"])
def test_mutated_files_are_read_or_refused(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY", str(tmp_path / "it-ran"))
    count, findings = fuzz(kind, seed=0, executions=FEW)
    assert count == FEW
    assert findings == []
    assert not (tmp_path / "it-ran").exists()


def test_mutations_are_the_same_for_a_seed():
    made = [[mutated(b"0123456789", random.Random(seed)) for _ in range(3)] for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_an_unexpected_error_is_a_finding(tmp_path, monkeypatch):
    def fail(path):
        raise InputError("ours") if path.read_bytes() == b"a" else IndexError("not ours")

    monkeypatch.setitem(KINDS, "x", (lambda: b"", fail, False))
    assert read_one("x", b"a", tmp_path) is None
    assert read_one("x", b"b", tmp_path) == "IndexError: not ours"
