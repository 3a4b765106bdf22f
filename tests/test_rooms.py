"""The rooms of the parts: arrows go down, nothing goes round, and no folder grows too large."""

import ast
import functools
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = {
    "runtime": (
        "errors",
        "budgets",
        "dependencies",
        "formats",
        "pixels",
        "images",
        "outlines",
        "labels",
        "engine",
        "prompts",
        "automatic",
        "evaluation",
        "model",
        "loading",
        "windows",
        "pieces",
        "volumes",
        "large",
        "batch",
    ),
    "training": (
        "config",
        "methods",
        "encoders",
        "networks",
        "data",
        "learning",
        "planning",
        "fit",
    ),
    "zoo": (
        "checkpoints",
        "exchange",
        "merging",
        "graphs",
        "downloads",
        "cards",
        "packages",
        "tools",
        "targets",
        "hub",
        "gallery",
        "reports",
        "review",
        "recipes",
        "studies",
        "suggestions",
        "annotation",
        "annotation_page",
        "cli",
    ),
}
"""The rooms, and the modules at a part's root, from the bottom up: each uses those before it."""

LARGEST = 16
"""Modules in one folder; a room with more is two (design)."""


def modules_of(root, part):
    """Each module's dotted name inside of its part, and its file."""
    for path in sorted((root / part).rglob("*.py")):
        parts = path.relative_to(root / part).with_suffix("").parts
        yield ".".join(parts).removesuffix("__init__").removesuffix("."), path


def imports(root, part):
    """Which modules of its part each module imports, also inside of functions.

    ``from room import module`` counts as the module. The part's own ``__init__`` is left out: it
    names what is public, from all rooms.
    """
    files = dict(modules_of(root, part))
    found: dict[str, set[str]] = {name: set() for name in files if name}
    for name, path in files.items():
        if not name:
            continue
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                bases: list[tuple[str, tuple[str, ...]]] = [(a.name, ()) for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                inside = ".".join(filter(None, (f"samzoo.{part}", package, node.module)))
                base = inside if node.level else str(node.module)
                bases = [(base, tuple(alias.name for alias in node.names))]
            else:
                continue
            for base, names in bases:
                if base != f"samzoo.{part}" and not base.startswith(f"samzoo.{part}."):
                    continue
                inner = base.removeprefix(f"samzoo.{part}").removeprefix(".")
                targets = {f"{inner}.{each}".strip(".") for each in names} & set(files)
                if not targets or any(f"{inner}.{each}".strip(".") not in files for each in names):
                    targets |= {inner}
                found[name] |= {each for each in targets if each and each != name}
    return found


def arrows_up(root, part, floors):
    """Imports that lead from a room to one that is not below it."""
    level = {room: number for number, room in enumerate(floors)}
    found = []
    for name, targets in imports(root, part).items():
        room = name.partition(".")[0]
        if room not in level:
            found.append(f"{part}/{room}: is no room of the table")
            continue
        for target in sorted(targets):
            other = target.partition(".")[0]
            if other != room and level.get(other, len(level)) >= level[room]:
                found.append(f"{part}.{name} imports {part}.{target}")
    return sorted(set(found))


def circle(root, part):
    """The modules of a circle of imports, or nothing."""
    graph = {
        # A package that re-exports its modules is imported by none of them.
        name: {t for t in targets if not name.startswith(f"{t}.")}
        for name, targets in imports(root, part).items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("part", FLOORS)
def test_no_arrow_goes_up(part):
    assert arrows_up(ROOT, part, FLOORS[part]) == []


@pytest.mark.parametrize("part", FLOORS)
def test_no_modules_import_each_other_in_a_circle(part):
    assert circle(ROOT, part) == []


@pytest.mark.parametrize("part", FLOORS)
def test_every_room_of_the_table_is_there(part):
    rooms = {name.partition(".")[0] for name, _ in modules_of(ROOT, part) if name}
    assert set(FLOORS[part]) == rooms


@pytest.mark.parametrize("part", FLOORS)
def test_no_folder_has_too_many_modules(part):
    folders = {path.parent for _, path in modules_of(ROOT, part)}
    many = {
        folder.relative_to(ROOT).as_posix(): count
        for folder in folders
        if (count := len(list(folder.glob("*.py")))) > LARGEST
    }
    assert many == {}


@pytest.mark.parametrize("part", FLOORS)
def test_no_module_has_the_name_of_what_it_defines(part):
    """``from samzoo.zoo import merge`` is a function then, whatever was imported before."""
    found = [
        f"{part}.{name}"
        for name, path in modules_of(ROOT, part)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name == name.rpartition(".")[2]
    ]
    assert found == []


@functools.cache
def defined_in(path):
    """The names that a module defines at its top."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def imported_names(root):
    """Each name that a file takes from a module of samzoo: file, line, module's file, name."""
    folders = (*FLOORS, "tests", "benchmarks", "examples")
    for path in (each for folder in folders for each in sorted((root / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            module = root / str(node.module or "").removeprefix("samzoo.").replace(".", "/")
            if node.level:
                module = path.parent / (node.module or "").replace(".", "/")
            file = module.with_suffix(".py")
            if (node.level or str(node.module).startswith("samzoo.")) and file.is_file():
                for alias in node.names:
                    yield path.relative_to(root), node.lineno, file, alias.name


def test_names_are_imported_from_where_they_are_defined():
    found = [
        f"{path}:{line} takes {name} from {file.relative_to(ROOT)}"
        for path, line, file, name in imported_names(ROOT)
        if name not in defined_in(file)
    ]
    assert found == []


def test_every_room_says_what_it_is():
    for part in FLOORS:
        for name, path in modules_of(ROOT, part):
            if path.name == "__init__.py":
                assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), name


def plant(root, **files):
    for name, text in files.items():
        path = root / "zoo" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


FROM_ABOVE = "from samzoo.zoo.upper.roof import thing\n"


@pytest.mark.parametrize(
    "text",
    [
        FROM_ABOVE,
        "def late():\n    from samzoo.zoo.upper.roof import thing\n    return thing\n",
        "import samzoo.zoo.upper.roof\n",
        "from samzoo.zoo.upper import roof\n",
    ],
    ids=["at the top", "inside of a function", "import", "a module by name"],
)
def test_a_planted_arrow_up_is_found(tmp_path, text):
    root = plant(tmp_path, lower__floor=text, upper__roof="thing = 1\n")
    assert arrows_up(root, "zoo", ("lower", "upper")) == [
        "zoo.lower.floor imports zoo.upper.roof",
    ]
    assert arrows_up(root, "zoo", ("upper", "lower")) == []


def test_a_planted_room_that_is_not_in_the_table_is_found(tmp_path):
    root = plant(tmp_path, attic__box="")
    assert arrows_up(root, "zoo", ("lower",)) == ["zoo/attic: is no room of the table"]


def test_a_planted_circle_is_found_in_a_room_and_across_rooms(tmp_path):
    inside = plant(
        tmp_path / "a", room__one="from .two import x\n", room__two="from . import one\n"
    )
    assert set(circle(inside, "zoo")) == {"room.one", "room.two"}
    across = plant(
        tmp_path / "b", lower__floor=FROM_ABOVE, upper__roof="import samzoo.zoo.lower.floor"
    )
    assert set(circle(across, "zoo")) == {"lower.floor", "upper.roof"}
