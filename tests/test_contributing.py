"""CONTRIBUTING.md leads to code that is there, and its recipes have the reminders they name."""

import ast
import importlib
import itertools
import re
from pathlib import Path

import pytest

from samzoo.training.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATHS = {"the fold": "From `samzoo merge`", "the ONNX file": "From `samzoo export`"}
HOPS = 5
NEEDS_TORCH = "samzoo.training.networks."


def literal_of(path, name):
    """The literal that a module gives a name, read without importing the module."""
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == name:
            assert isinstance(node, (ast.Assign, ast.AnnAssign))
            return ast.literal_eval(str(ast.unparse(node)).split("=", 1)[1].strip())
    raise AssertionError(f"{path} has no {name}")


def stations(opening):
    """Module and name of each station of a path."""
    section = PAGE.split(f"\n{opening}")[1].split("\n\n")[1]
    return re.findall(r"^\d\. `(samzoo[\w.]+)`: `(\w+)`", section, flags=re.MULTILINE)


def source_of(module):
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported_by(module):
    """Modules that a module imports, also inside of functions and by a room's name."""
    path = source_of(module)
    room = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, (room if node.level else "", node.module)))
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def leads_to(module, target):
    """Whether a module imports another, or the room whose ``__init__`` names what is in it."""
    found = imported_by(module)
    room = target.rpartition(".")[0]
    return target in found or (room in found and target in imported_by(room))


@pytest.mark.parametrize("opening", PATHS.values(), ids=PATHS)
def test_every_station_of_a_path_is_there_and_imports_the_next(opening):
    found = stations(opening)
    assert len(found) == HOPS
    for (module, _), (following, _) in itertools.pairwise(found):
        assert leads_to(module, following), f"{module} does not import {following}"
    for module, name in found:
        if module.startswith(NEEDS_TORCH):
            pytest.importorskip("torch")
            pytest.importorskip("segment_anything")
        assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"


def test_a_wrong_path_is_found():
    assert not leads_to("samzoo.training.methods.lora", "samzoo.zoo.merging.folding")


def test_rooms_are_listed_in_the_order_of_their_floors():
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)(?:/|\.py)` \| .+ \|$", PAGE, flags=re.MULTILINE)
    floors = literal_of("tests/test_rooms.py", "FLOORS")
    assert listed == [(part, room) for part, rooms in floors.items() for room in rooms]


def test_every_path_of_the_recipes_is_there():
    paths = re.findall(r"`((?:tests|runtime|training|zoo|docs)/[\w/.-]+\.\w+)`", PAGE)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_each_method_that_changes_plain_weights_is_compared_with_the_network_in_training():
    cases = literal_of("tests/training/methods/test_methods_fold.py", "CASES")
    compared = {method for method, _ in cases.values()}
    wanted = {n for n, method in METHODS.items() if not method.frozen and method.quantized is None}
    assert wanted - compared == set()
