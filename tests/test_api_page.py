"""docs/api.md lists exactly the public names; its code and the README's run."""

import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
import tiny

from samzoo.runtime.engine.providers import PROVIDERS
from samzoo.runtime.formats.shapes import tensor_shapes

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PARTS = ("samzoo.runtime", "samzoo.training", "samzoo.zoo")


def rows_under(title):
    """First cells of the table under a heading, without their quotes."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE)


def public_functions(part):
    module = importlib.import_module(part)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield name, value
        if inspect.isclass(value):
            for member, method in vars(value).items():
                method = getattr(method, "__func__", method)
                if inspect.isfunction(method) and not member.startswith("_"):
                    yield f"{name}.{member}", method


def blocks_of(text):
    """Each Python block with the package it needs, as ``python needs=torch`` says; else None."""
    found = re.findall(
        r"^```python(?: needs=(\w+))?\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL
    )
    return [(needed or None, code) for needed, code in found]


def has(package):
    return package is None or importlib.util.find_spec(package) is not None


PAGES: dict[str, dict[str | None, list[str]]] = {
    "README.md": {None: []},
    "docs/api.md": {
        None: [
            "embeddings", "labels.tif", "nuclei.csv", "nuclei.safetensors", "nuclei.tif",
            "overlay.png",
        ],
        "torch": ["model", "run"],
    },
    "docs/large.md": {None: ["labels.tif", "objects.csv"]},
}  # fmt: skip
"""What the blocks of each page write, by the package that these blocks need."""


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs_in_order(page, tmp_path, monkeypatch):
    """In one namespace, with a corner of the image and a tiny base with random weights."""
    (tmp_path / "examples").mkdir()
    corner = tifffile.imread(ROOT / "examples" / "nuclei.tif")[:128, :128]
    tifffile.imwrite(tmp_path / "examples" / "nuclei.tif", corner)
    config = tiny.make_config("vit", ais=False)
    weights = tiny.seeded_weights(tensor_shapes(config.architecture))
    tiny.write_weights(tmp_path / "base", config, weights)
    monkeypatch.chdir(tmp_path)
    blocks = blocks_of((ROOT / page).read_text(encoding="utf-8"))
    assert {needed for needed, _ in blocks} == set(PAGES[page])
    names: dict[str, object] = {}
    for number, (needed, block) in enumerate(blocks, start=1):
        if has(needed):
            exec(compile(block, f"block {number} of {page}", "exec"), names)
    written = [name for needed, files in PAGES[page].items() if has(needed) for name in files]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["base", "examples", *written]
    )


def test_a_block_says_which_package_it_needs():
    text = "```python\na = 1\n```\n\n```python needs=torch\nb = 2\n```\n```sh\nls\n```\n"
    assert blocks_of(text) == [(None, "a = 1\n"), ("torch", "b = 2\n")]
    assert not has("no_such_package")


@pytest.mark.parametrize("part", PARTS)
def test_the_page_lists_exactly_the_public_names(part):
    listed = rows_under(f"Public names of `{part}`")
    assert sorted(listed) == sorted(importlib.import_module(part).__all__)


def test_the_page_lists_the_providers_of_the_table():
    section = PAGE.split("## Execution providers")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| `([\w-]+)`", section, flags=re.MULTILINE)
    assert rows == [(name, row.onnxruntime, row.package) for name, row in PROVIDERS.items()]


@pytest.mark.parametrize("part", PARTS)
def test_docstrings_of_public_functions_name_arguments_results_and_errors(part):
    if part == "samzoo.training":
        pytest.importorskip("torch")
    lacking = []
    for name, function in public_functions(part):
        text = inspect.getdoc(function) or ""
        if text.startswith("See ``"):  # a protocol says it all
            continue
        signature = inspect.signature(function)
        given = [p for p in signature.parameters if p not in ("self", "cls")]
        wanted = [f"{argument}:" for argument in given]
        wanted += ["Args:"] if given else []
        wanted += ["Returns:"] if given and signature.return_annotation != "None" else []
        lacking += [f"{name} lacks {word}" for word in wanted if word not in text]
    assert lacking == []


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import samzoo.runtime", []),
        ("from samzoo.runtime import load", ["numpy", "PIL", "tifffile", "bioimage_cpp"]),
        ("import samzoo.zoo", []),
    ],
)
def test_importing_the_runtime_loads_no_heavy_package(code, allowed, tmp_path):
    heavy = ["onnxruntime", "tifffile", "PIL", "numpy", "bioimage_cpp", "safetensors", "tqdm"]
    heavy = [name for name in heavy if name not in allowed]
    code += f"\nimport sys\nprint([name for name in {heavy} if name in sys.modules])\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
