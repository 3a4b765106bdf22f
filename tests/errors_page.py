"""The page ``docs/errors.md``, made by provoking an error of each kind.

In: the classes of ``samzoo.runtime.errors``. Out: Markdown, with what a command line really says.
``PYTHONPATH=tests python -m errors_page`` writes the page again; a test compares the two.
"""

import contextlib
import inspect
import io
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from unittest import mock

import tifffile
import tiny
from conftest import draw_discs, write_toy_package

from samzoo.runtime import errors
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.zoo.cli import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "errors.md"

HEAD = """\
# Errors

The code makes this page: `PYTHONPATH=tests python -m errors_page` provokes an error of each kind
and writes down what it says. A test compares the two.

A message names the file and the field, what was found, what is allowed, and what to do. The exit
code says who can mend it:

| exit code | means |
|---|---|
| 0 | done |
| 1 | an error of samzoo's own; please report it with what the same command says with `--debug` |
| 2 | the input, the command line or the installation; the message says what to change |
| 3 | reading or writing failed: disk, permissions, network; the same command can succeed later |
| 4 | some of several files failed, the others are done |
| 130 | interrupted |

In Python all kinds derive from `SamzooError`, and each from the built-in error that callers expect.
"""

EXAMPLES = {
    "InputError": (
        "segment cells.tif --model toy -o out.tif --placements 99",
        "Change the option that the message names; `samzoo VERB --help` lists them.",
    ),
    "ShapeError": (
        "segment cells.tif --model toy -o out.tif --tile-shape 500 500",
        "Give numbers that fit the model, or omit the option.",
    ),
    "ImageError": (
        "segment text.tif --model toy -o out.tif",
        "Open the file in the program that wrote it and save it again, or copy it anew.",
    ),
    "FormatError": (
        "verify damaged",
        "Fetch or make the file again. One that a newer samzoo wrote needs a newer samzoo.",
    ),
    "WrongBaseError": (
        "merge lora --base other -o model",
        "Name the base that the adapter was trained on, or omit `--base`.",
    ),
    "OutputExistsError": (
        "segment cells.tif --model toy -o cells-labels.tif",
        "Pass `--force` to replace it, or name another output.",
    ),
    "NotFoundError": (
        "segment gone.tif --model toy -o out.tif",
        "Look at the spelling and the folder you are in.",
    ),
    "MissingDependencyError": (
        "segment cells.tif --model toy -o out.zarr",
        "Install the extra that the message names.",
    ),
    "StorageError": (
        "pull somebody",
        "Try again later; look at the network, the disk and who may read the folder.",
    ),
    "WriteError": (
        "segment cells.tif --model toy -o text.tif/out.tif",
        "Make room, or write to a folder where you may. Nothing half-written is left.",
    ),
}
"""A command line that fails for each kind of error, and what to do about it."""


def kinds():
    """The classes of errors, each after its parent."""
    found = [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.SamzooError) and each is not errors.SamzooError
    ]
    return sorted(found, key=_line)


def _line(kind):
    return inspect.getsourcelines(kind)[1]


def write_scene(folder):
    """Write what the examples read."""
    write_toy_package(folder / "toy")
    image = draw_discs((60, 80), [(20, 20)])
    for name in ("cells", "cells-labels"):
        tifffile.imwrite(folder / f"{name}.tif", image)
    (folder / "text.tif").write_text("these are no pixels")
    (folder / "damaged").mkdir()
    (folder / "damaged" / "samzoo.json").write_text('{"format": ')
    for seed, name in enumerate(("base", "other")):
        config = tiny.make_config()
        weights = tiny.seeded_weights(tensor_shapes(config.architecture), seed)
        tiny.write_weights(folder / name, config, weights)
    lora = {"rank": 2, "matrices": ["q", "v"]}
    tiny.write_lora_adapter(folder / "lora", folder / "base", "lora", lora, seed=0)


def provoke(words, folder):
    """Run a command line in a folder; returns its exit code and what it says."""
    said, back = io.StringIO(), Path.cwd()
    here = {"SAMZOO_CACHE": str(folder / "cache"), "SAMZOO_INDEX": "http://127.0.0.1:1/index.json"}
    os.chdir(folder)
    try:
        with (
            contextlib.redirect_stderr(said),
            mock.patch.dict(os.environ, here),
            _missing("zarr"),
        ):
            status = main(shlex.split(words))
    finally:
        os.chdir(back)
    return status, said.getvalue().strip()


@contextlib.contextmanager
def _missing(name):
    """Let a package be not installed; what else is imported meanwhile stays."""
    there = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if there is not None:
            sys.modules[name] = there


def page(folder):
    """The page's text; the folder is empty."""
    write_scene(folder)
    parts = [HEAD]
    for kind in kinds():
        builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins")
        text = f"## {kind.__name__}\n\n{inspect.getdoc(kind)} In Python also `{builtin.__name__}`."
        words, remedy = EXAMPLES[kind.__name__]
        status, said = provoke(words, folder)
        said = said.replace(str(folder), "/here")
        # How samzoo was installed changes the advice.
        said = re.sub(
            r"installed; .*run: pip install '.*\[", "installed; run: pip install 'samzoo[", said
        )
        parts.append(
            f"{text} Exit code {status}.\n\n```text\n$ samzoo {words}\n{said}\n```\n\n{remedy}\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        PAGE.write_text(page(Path(place)), encoding="utf-8")
