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
"""Nowhere in the part, not even inside a function. ``zoo/review/controls.py`` asks for scikit-image
by ``require``, because the controls are its methods; without the extra nothing else misses it."""

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

LIGHT_TRAINING = ("training/__init__.py", "training/config.py")
HEAVY_METHOD = "training/methods/four_bit_layers.py"
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
        methods = name.startswith("training/methods/") and name != HEAVY_METHOD
        return methods or name in LIGHT_TRAINING
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


LATE = (
    *HEAVY, "PIL", "bioimageio", "dask", "importlib.metadata", "loguru", "numpy", "onnxruntime",
    "pydantic", "safetensors", "tifffile", "tqdm", "zarr",
)  # fmt: skip
"""Libraries that are worth an import inside a function: they take long to load, or are optional."""


def late_imports(path):
    """Modules of samzoo, and others, that a file imports inside of functions."""
    package = module_name(path).rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                inner = f"{package}.{node.module}" if node.module else package
                base = inner if node.level else str(node.module)
                for alias in node.names:  # ``from room import module`` is about the module
                    name = f"{base}.{alias.name}"
                    yield (name if file_of(name).is_file() else base), node.lineno


def file_of(name):
    """The file of a module or package of samzoo, by its dotted name; it may not be there."""
    path = ROOT / name.removeprefix("samzoo.").replace(".", "/")
    module = path.with_name(f"{path.name}.py")
    return module if module.is_file() else path / "__init__.py"


def is_late(name):
    return any(name == other or name.startswith(f"{other}.") for other in LATE)


def needs_late(name, *, seen):
    """Whether a module of samzoo, or one that it imports at its top, uses such a library."""
    path = file_of(name)
    if name in seen or not path.is_file():
        return False
    seen.add(name)
    package = module_name(path).rpartition(".")[0]
    if path.name == "__init__.py":
        package = module_name(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{package}.{node.module}" if node.level else str(node.module)]
        if any(is_late(each) or needs_late(each, seen=seen) for each in names):
            return True
    return False


def test_imports_inside_functions_are_of_heavy_libraries():
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for part in PARTS
        for path in files_of(part)
        for name, line in late_imports(path)
        if not is_late(name) and not needs_late(name, seen=set())
    ]
    assert found == []


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
