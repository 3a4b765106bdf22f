"""What may import what; a rule that changes is changed here first."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("model_cards", "runtime", "training", "zoo")
FOLDERS = (*PARTS, "tests", "benchmarks", "examples")

FORBIDDEN = {
    "model_cards": ("samzoo",),
    "runtime": (
        "bioimageio",
        "lightning_fabric",
        "samzoo.training",
        "samzoo.zoo",
        "scipy",
        "segment_anything",
        "skimage",
        "torch",
        "torchvision",
    ),
    "training": ("bioimageio", "samzoo.zoo", "scipy", "skimage"),
    "zoo": ("scipy", "skimage"),
}
"""Nowhere in the part, not even inside a function."""

HEAVY = (
    "lightning_fabric",
    "onnx",
    "scipy",
    "segment_anything",
    "skimage",
    "timm",
    "torch",
    "torchvision",
)
"""What the modules below must not load when they are imported."""

LIGHT_TRAINING = ("training/__init__.py", "runtime/formats/adapter.py", "training/config.py")
HEAVY_ZOO = ("zoo/packages/assembly.py", "zoo/graphs/tracing.py")
"""Modules of ``zoo`` that may load torch; the others import these inside functions."""


def files_of(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def imports_of(path):
    """Each imported name with its line; ``from a import b`` gives ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module, node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def offences(folder, forbidden):
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files_of(folder)
        for name, line in imports_of(path)
        if any(name == other or name.startswith(f"{other}.") for other in forbidden)
    ]


def is_light(path):
    name = path.relative_to(ROOT).as_posix()
    if path.name == "__main__.py":
        return False
    if name.startswith("training/"):
        return name in LIGHT_TRAINING or name.startswith("training/methods/")
    return name not in HEAVY_ZOO


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("samzoo", *(part for part in parts if part != "__init__")))


def run(code, *arguments, cwd):
    """Run code in a new interpreter, away from the repository; returns what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_nothing_forbidden(part):
    assert files_of(part)
    assert offences(part, FORBIDDEN[part]) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_imports_a_part_by_its_folder_name(folder):
    assert offences(folder, PARTS) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_relative_imports_stay_inside_their_folder(folder):
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files_of(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level > 1
    ]
    assert found == []


@pytest.mark.parametrize("part", PARTS)
def test_importing_a_light_module_loads_no_heavy_package(part, tmp_path):
    modules = [module_name(path) for path in files_of(part) if is_light(path)]
    code = (
        "import importlib, sys\n"
        "heavy, modules = sys.argv[1].split(), sys.argv[2:]\n"
        "for module in modules:\n"
        "    importlib.import_module(module)\n"
        "    loaded = [name for name in heavy if name in sys.modules]\n"
        "    if loaded:\n"
        "        sys.exit(f'importing {module} loads {loaded}')\n"
    )
    run(code, " ".join(HEAVY), *modules, cwd=tmp_path)


def test_segmenting_an_image_loads_no_heavy_package(tmp_path):
    rows, columns = np.mgrid[:96, :128]
    image = np.zeros((96, 128), np.uint8)
    for row, column in ((30, 30), (60, 90)):
        image[(rows - row) ** 2 + (columns - column) ** 2 < 150] = 200
    tifffile.imwrite(tmp_path / "image.tif", image)
    code = (
        "import sys\n"
        "from samzoo.zoo.cli import main\n"
        "try:\n"
        "    status = main(['segment', 'image.tif', '-o', 'labels.tif'])\n"
        "except SystemExit as error:\n"
        "    status = error.code\n"
        "if status:\n"
        "    sys.exit(status)\n"
        "print([name for name in sys.argv[1].split() if name in sys.modules])\n"
    )
    assert run(code, " ".join(HEAVY), cwd=tmp_path)[-1] == "[]"
    assert tifffile.imread(tmp_path / "labels.tif").shape == image.shape
