"""Docstrings and comments say what a thing is, and name only files that exist."""

import ast
import io
import itertools
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FOLDERS = (
    "benchmarks",
    "runtime",
    "training",
    "zoo/checkpoints",
    "zoo/cli",
    "zoo/downloads",
    "zoo/exchange",
    "zoo/gallery",
    "zoo/graphs",
    "zoo/hub",
    "zoo/merging",
    "zoo/packages",
    "zoo/reports",
    "zoo/targets",
)
"""What is held to these rules."""

FILE = re.compile(r"``([\w./-]+\.py)``")

OTHER_PROJECTS = re.compile(
    "AnyLabeling|bioimageio|bitsandbytes|CellSeg1|elf|huggingface_hub|label-studio|LiteMedSAM|"
    "micro-sam|MobileSAM|onnxruntime|osam|peft [0-9]|samapi|SAMed|samexporter|scikit-image|"
    "segment-anything|Source: torch|timm|torch-em|transformers",
    re.IGNORECASE,
)
"""A paragraph that names one of these may name its files."""


def texts_of(source):
    """Each docstring, attributes' included, and each block of comments, with its first line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                yield node.lineno, node.value.value
    comments = [
        (token.start[0], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    # Comments on consecutive lines have one difference between line and position.
    for _, block in itertools.groupby(enumerate(comments), key=lambda item: item[1][0] - item[0]):
        lines = [comment for _, comment in block]
        yield lines[0][0], "\n".join(text for _, text in lines)


def bad_words(source):
    for line, text in texts_of(source):
        if re.search(r"called\s+by", text, re.IGNORECASE):
            yield f"line {line}: says who calls it; say what comes in and what goes out"
        if re.search(r"^\s*(\w+: )?Of\b", text, re.MULTILINE):
            yield f"line {line}: a line begins with Of; say what the thing is"


def missing_files(source, path):
    part = ROOT / path.relative_to(ROOT).parts[0]
    for line, text in texts_of(source):
        for paragraph in re.split(r"\n\s*\n", text):
            if OTHER_PROJECTS.search(paragraph):
                continue
            for name in FILE.findall(paragraph):
                if not any((base / name).is_file() for base in (path.parent, part, ROOT)):
                    yield f"line {line}: names {name}, which does not exist"


def undocumented(source):
    """Public functions, classes and methods of public classes without a docstring."""
    holders = [ast.parse(source)]
    for holder in holders:
        for node in holder.body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            overload = any(getattr(d, "id", "") == "overload" for d in node.decorator_list)
            if node.name.startswith("_") or overload:
                continue
            if ast.get_docstring(node) is None:
                yield f"line {node.lineno}: {node.name} has no docstring"
            if isinstance(node, ast.ClassDef):
                holders.append(node)


def faults_of(path):
    source = path.read_text(encoding="utf-8")
    yield from bad_words(source)
    yield from missing_files(source, path)
    yield from undocumented(source)


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_tell_an_outsider_what_a_thing_is(folder):
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    found = [f"{path.relative_to(ROOT)}: {fault}" for path in paths for fault in faults_of(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('"""A thing. Called\nby the loop."""', "line 1: says who calls it"),
        ('"""A thing.\n\nOf great use.\n"""', "line 1: a line begins with Of"),
        (
            'def f(a):\n    """Do it.\n\n    Args:\n        a: Of it.\n    """',
            "line 2: a line begins",
        ),
        ('X = 1\n"""Of the file."""', "line 2: a line begins with Of"),
        ("x = 1\n# See\n# ``gone.py``.", "line 2: names gone.py"),
        ('"""See ``formats/gone.py``."""', "line 1: names formats/gone.py"),
        ('class A:\n    """A."""\n\n    def f(self):\n        pass', "line 4: f has no docstring"),
    ],
)
def test_planted_faults_are_found(source, fault):
    path = ROOT / "runtime" / "images" / "planted.py"
    found = [*bad_words(source), *missing_files(source, path), *undocumented(source)]
    assert len(found) == 1
    assert found[0].startswith(fault)


@pytest.mark.parametrize("name", ["reading.py", "formats/config.py", "runtime/model.py"])
def test_files_are_found_from_the_room_the_part_and_the_repository(name):
    path = ROOT / "runtime" / "images" / "planted.py"
    assert not list(missing_files(f'"""See ``{name}``."""', path))
    foreign = '"""Source: segment-anything, ``modeling/sam.py``."""'
    assert not list(missing_files(foreign, path))
