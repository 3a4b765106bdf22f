"""Examples in docstrings, by import name; by path, each module would be imported twice."""

import doctest
import importlib
import pkgutil

import pytest

OPTIONAL = ("torch", "torchvision", "segment_anything", "lightning_fabric", "onnx")


def module_names():
    for part in ("samzoo.runtime", "samzoo.training", "samzoo.zoo"):
        yield part
        found = pkgutil.walk_packages(importlib.import_module(part).__path__, f"{part}.")
        yield from (each.name for each in found if not each.name.endswith(".__main__"))


@pytest.mark.parametrize("name", list(module_names()))
def test_examples_give_what_they_say(name, tmp_path, monkeypatch):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(module)
    assert failed == 0
