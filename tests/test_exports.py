"""A part's public names are those in its ``__all__`` (ruff's RUF022 keeps the list in order)."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

from samzoo.runtime.errors import MissingDependencyError

MODULES = ("samzoo.runtime", "samzoo.training", "samzoo.training.methods", "samzoo.zoo")


@pytest.mark.parametrize("name", MODULES)
def test_exported_names_exist(name):
    module = importlib.import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        try:
            getattr(module, public)
        except MissingDependencyError:
            with pytest.raises(ModuleNotFoundError):
                importlib.import_module("torch")


@pytest.mark.parametrize("name", ["samzoo.runtime", "samzoo.training", "samzoo.zoo"])
def test_names_taken_from_siblings_are_exported(name):
    module = importlib.import_module(name)
    tree = ast.parse(inspect.getsource(module))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    public = {each for each in imported if not each.startswith("_")}
    assert public <= set(module.__all__), sorted(public - set(module.__all__))


def test_an_unknown_name_of_training_is_an_attribute_error():
    training = importlib.import_module("samzoo.training")
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        training.trian  # noqa: B018


@pytest.mark.parametrize("part", ["samzoo.runtime", "samzoo.training", "samzoo.zoo"])
def test_public_names_stay_what_they_are_when_modules_are_imported(part, tmp_path):
    """A module of a public function's name would replace the function in the package."""
    code = (
        "import importlib, pkgutil, sys, types\n"
        "part = importlib.import_module(sys.argv[1])\n"
        "for found in pkgutil.walk_packages(part.__path__, part.__name__ + '.'):\n"
        "    try:\n"
        "        importlib.import_module(found.name)\n"
        "    except ImportError:\n"
        "        pass\n"
        "for name in part.__all__:\n"
        "    try:\n"
        "        value = getattr(part, name)\n"
        "    except ImportError:\n"
        "        continue\n"
        "    assert not isinstance(value, types.ModuleType), name\n"
    )
    command = [sys.executable, "-c", code, part]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
