"""The tests lie as the code does: ``tests/<part>/<room>/test_<module>.py``."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("runtime", "training", "zoo")

INDIRECT = 106
"""Modules without a test file of their own, which the tests of their callers reach. Lower this
number with each test file that you add; it never grows."""


def subjects(folder):
    """What the tests in a folder may be named after: its modules, and the folder itself."""
    code = ROOT / folder
    return {path.stem for path in code.glob("*.py") if path.stem != "__init__"} | {code.name}


def named_after(test):
    """The module of a test: ``test_card_metrics`` is about ``card``, or about ``card_metrics``."""
    folder = test.parent.relative_to(ROOT / "tests").as_posix()
    name = test.stem.removeprefix("test_")
    found = [each for each in subjects(folder) if name == each or name.startswith(f"{each}_")]
    return f"{folder}/{max(found, key=len)}" if found else None


def has_code(path):
    """Whether a module computes anything; names, numbers and protocols alone cannot be wrong."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    protocols = {
        method
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "Protocol" in {ast.unparse(b) for b in node.bases}
        for method in node.body
    }
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(n, functions) and n not in protocols for n in ast.walk(tree))


def files_of(part):
    return sorted((ROOT / "tests" / part).rglob("test_*.py"))


@pytest.mark.parametrize("part", PARTS)
def test_every_test_is_named_after_a_module_of_its_room(part):
    assert files_of(part)
    assert [str(test) for test in files_of(part) if named_after(test) is None] == []


def test_most_modules_have_tests_of_their_own_and_no_fewer_than_before():
    modules = {
        path.relative_to(ROOT).with_suffix("").as_posix()
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        if path.stem != "__init__" and has_code(path)
    }
    tested = {named_after(test) for part in PARTS for test in files_of(part)}
    without = sorted(modules - tested)
    assert len(without) <= INDIRECT, without
