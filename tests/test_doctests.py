"""Examples in docstrings, by import name; by path, each module would be imported twice."""

import doctest
import importlib
import importlib.util
import pkgutil
from pathlib import Path

import pytest
import tiny

OPTIONAL = ("torch", "torchvision", "segment_anything", "lightning_fabric", "onnx")

SHOWN = {
    "samzoo.runtime.loading": ["load"],
    "samzoo.runtime.model": ["Model.embed", "Model.prompt", "Model.segment"],
    "samzoo.runtime.images.reading": ["read_image"],
    "samzoo.runtime.large.file_segmentation": ["segment_file"],
    "samzoo.zoo.merging.folding": ["merge"],
    "samzoo.zoo.packages.assembly": ["export"],
}
"""What a newcomer calls first: each has an example that runs."""

NEEDS = {"samzoo.zoo.packages.assembly": ("torch", "onnx")}
"""Packages that the examples of a module need, beside those that importing it needs."""


def modules_with_examples():
    """Names of the modules in whose source an example stands; none of them is imported."""
    for part in ("samzoo.runtime", "samzoo.training", "samzoo.zoo"):
        package = importlib.import_module(part)
        names = [each.name for each in pkgutil.walk_packages(package.__path__, f"{part}.")]
        for name in [part, *names]:
            spec = importlib.util.find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            if ">>> " in Path(spec.origin).read_text(encoding="utf-8"):
                yield name


def imported(name):
    """The module; skips the test where a package of an extra is missing."""
    for needed in NEEDS.get(name, ()):
        pytest.importorskip(needed)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """Work in a folder with ``run``, a LoRA adapter, and ``base``, that it was trained on."""
    from samzoo.runtime.formats.shapes import tensor_shapes

    monkeypatch.chdir(tmp_path)
    config = tiny.make_config("vit")
    weights = tiny.seeded_weights(tensor_shapes(config.architecture))
    base = tiny.write_weights(tmp_path / "base", config, weights)
    tiny.write_lora_adapter(tmp_path / "run", base, "lora", {"rank": 2}, seed=0)


@pytest.mark.usefixtures("run_folder")
@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_examples_give_what_they_say(name):
    failed, attempted = doctest.testmod(imported(name))
    assert failed == 0
    assert attempted > 0


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_newcomer_calls_first_has_an_example_that_runs(name):
    module = imported(name)
    found = {
        test.name.removeprefix(f"{name}."): test.examples
        for test in doctest.DocTestFinder(exclude_empty=True).find(module)
    }
    for function in SHOWN[name]:
        examples = found[function]
        assert any(example.want for example in examples), function
        assert not any(doctest.SKIP in example.options for example in examples), function
