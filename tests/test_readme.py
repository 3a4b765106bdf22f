"""CI runs what the README tells people to run; each printed prompt hits a nucleus."""

import ast
import itertools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile

from samzoo.zoo.cli import main

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "pip install -e '.[dev]' --config-settings editable_mode=strict",
    "python -m pytest",
)
IMAGE = "examples/nuclei.tif"
NUCLEI = ROOT / "examples" / "test" / "labels" / "bottom_right.tif"
LEAST_BOX_IOU = 0.5
"""A printed box overlaps the box of a nucleus by at least this IoU."""


def commands_in(path):
    """The commands of a file, each without the ``&&`` that may join it to others."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return [command.strip() for line in lines for command in line.split("&&")]


def pages():
    """Every text for readers: name and content; a notebook's cells are blocks of Python."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]:
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in ROOT.glob("examples/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        blocks = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        yield path.name, "".join(f"```python\n{block}\n```\n" for block in blocks)


def helps(capsys):
    """The help of every verb that ``samzoo --help`` lists."""
    main(["--help"])
    listed = re.findall(r"^ +([a-z]+(?: [a-z]+)?)  +\S", capsys.readouterr().out, re.MULTILINE)
    for verb in listed:
        main([*verb.split(), "--help"])
        yield f"samzoo {verb} --help", " ".join(capsys.readouterr().out.split())


def printed_commands(text):
    """Whole commands of shell blocks, and what starts with ``samzoo`` in the line."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [
        part.strip() for block in blocks for line in block.split("\n") for part in line.split("&&")
    ]
    spans = re.findall(
        r"`(samzoo [a-z][^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    )
    return [line for line in lines if line.startswith("samzoo ")], spans


def shell_prompts(text):
    """Points in objects and boxes of each ``samzoo prompt`` on the example image."""
    for command in re.findall(rf"samzoo prompt {IMAGE}[^\n`]*", text):
        words = shlex.split(command, comments=True)
        values = {
            option: [
                [float(value) for value in words[at + 1 : at + 1 + count]]
                for at, word in enumerate(words)
                if word == option
            ]
            for option, count in (("--point", 2), ("--label", 1), ("--box", 4))
        }
        labels = [label for [label] in values["--label"]] or [1.0] * len(values["--point"])
        assert len(labels) == len(values["--point"]), command
        yield from (
            point for point, label in zip(values["--point"], labels, strict=True) if label == 1
        )
        yield from values["--box"]


def python_prompts(text):
    """The same of ``points``, ``point_labels`` and ``boxes`` that stand in Python as literals.

    What stands in a ``try`` that expects an ``InputError`` is meant to be wrong.
    """
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        tree = ast.parse(block)
        wrong = {
            node
            for attempt in ast.walk(tree)
            if isinstance(attempt, ast.Try) and "InputError" in ast.unparse(attempt.handlers[0])
            for node in ast.walk(attempt)
        }
        found: dict[str, list[list[float]]] = {"points": [], "point_labels": [], "boxes": []}
        for node in ast.walk(tree):
            if node in wrong:
                continue
            if isinstance(node, ast.keyword) and node.arg in found:
                name, value = node.arg, node.value
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in found:
                name, value = ast.unparse(node.targets[0]), node.value
            else:
                continue
            if not isinstance(value, ast.Name):
                width = {"points": 2, "point_labels": 1, "boxes": 4}[name]
                numbers = [float(number) for number in _flat(ast.literal_eval(value))]
                found[name] += [numbers[at : at + width] for at in range(0, len(numbers), width)]
        for point, [label] in zip(found["points"], found["point_labels"], strict=True):
            if label == 1:
                yield point
        yield from found["boxes"]


def _flat(value):
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in _flat(item)]
    return [value]


def box_ious(box, labels):
    """IoU of a box with the tight box of each object."""
    x0, y0, x1, y1 = box
    for label in np.unique(labels)[1:]:
        ys, xs = np.nonzero(labels == label)
        left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
        width, height = min(x1, right) - max(x0, left), min(y1, bottom) - max(y0, top)
        common = max(0.0, width) * max(0.0, height)
        yield common / ((x1 - x0) * (y1 - y0) + (right - left) * (bottom - top) - common)


def misses(where, prompts, labels):
    """Every prompt that hits no object, as a line."""
    for prompt in prompts:
        if len(prompt) == 2:
            x, y = prompt
            if not labels[int(y), int(x)]:
                yield f"{where}: the point {prompt} lies in the background"
        elif (best := max(box_ious(prompt, labels))) < LEAST_BOX_IOU:
            yield f"{where}: the box {prompt} has an IoU of {best:.2f} with a nucleus"


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", ".ci/run"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_documented_commands_are_those_that_ci_runs(path, command):
    assert command in commands_in(path)


def test_each_printed_command_has_a_verb_and_options_that_are_there(capsys):
    known = {where.split(" --")[0].removeprefix("samzoo "): text for where, text in helps(capsys)}
    wrong, count = [], 0
    for where, text in pages():
        if where == "CHANGELOG.md":  # it also says how verbs were called before
            continue
        for command in itertools.chain(*printed_commands(text)):
            words = command.split()[1:]
            verb = next((v for v in (" ".join(words[:2]), words[0]) if v in known), None)
            options = re.findall(r"(?<!\S)--[a-z-]+", command)
            count += 1
            if verb is None:
                wrong.append(f"{where}: {command}: no such verb")
            else:
                wrong += [
                    f"{where}: {command}: {option}"
                    for option in options
                    if not re.search(rf"{option}\b", known[verb])
                ]
    assert wrong == []
    assert count > 50


def test_each_printed_prompt_hits_a_nucleus(capsys):
    labels = tifffile.imread(NUCLEI)
    found, missed = {}, []
    for where, text in [*pages(), *helps(capsys)]:
        prompts = [*shell_prompts(text), *python_prompts(text)]
        found[where] = len(prompts)
        missed += misses(where, prompts, labels)
    assert missed == []
    for where in ("README.md", "docs/api.md", "nuclei.ipynb", "samzoo prompt --help"):
        assert found[where], f"no prompt was found in {where}"


def test_a_prompt_in_the_background_is_found():
    labels = tifffile.imread(NUCLEI)
    shell = f"samzoo prompt {IMAGE} -o a.tif --box 100 100 140 140 --point 120 80"
    python = "```python\nmodel.prompt(e, points=[[120, 80]], point_labels=[1])\n```\n"
    assert len(list(misses("here", shell_prompts(shell), labels))) == 2
    assert len(list(misses("here", python_prompts(python), labels))) == 1
