"""Options that several verbs have. Imports nothing heavy."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path

from samzoo.runtime.errors import InputError

PRECISIONS = ("fp32", "fp16", "int8-weights", "int8")
"""As ``samzoo.zoo.packages.assembly`` has them, which takes long to import; a test compares."""


def add_output(
    parser: ArgumentParser, what: str, *, force: bool = True, required: bool = True
) -> None:
    """Add ``--output``, and ``--force`` where a result may be replaced."""
    parser.add_argument("-o", "--output", required=required, type=Path, metavar="OUT", help=what)
    if force:
        parser.add_argument("--force", action="store_true", help="replace an existing output")


def add_model(parser: ArgumentParser) -> None:
    """Add the options that choose a model and where it runs."""
    parser.add_argument("--model", metavar="REF", help="a name (samzoo list) or a package folder")
    parser.add_argument(
        "--adapter", metavar="NAME", help="one of a package with several; the first by default"
    )
    parser.add_argument("--threads", type=int, help="CPU threads; all cores by default")
    parser.add_argument(
        "--provider", default="cpu", metavar="NAME",
        help="where it runs: cpu (default), cuda, coreml, openvino, directml; samzoo doctor lists "
        "what is there",
    )  # fmt: skip


def add_plane(parser: ArgumentParser) -> None:
    """Add the options that choose an image in a file."""
    parser.add_argument("--level", type=int, metavar="N", help="of a pyramid; 0 is full size")
    parser.add_argument("--series", type=int, metavar="N", help="of a TIFF with several images")
    parser.add_argument("--channel", type=int, metavar="N", help="of an image with several")
    parser.add_argument("--plane", type=int, metavar="N", help="one plane of a stack")


def add_store(parser: ArgumentParser) -> None:
    """Add the option that keeps embeddings."""
    parser.add_argument(
        "--store", type=Path, metavar="DIR",
        help="keep embeddings here, tile by tile, and encode only tiles that are needed and not "
        "there; for images of any size",
    )  # fmt: skip


def add_base(parser: ArgumentParser) -> None:
    """Add ``--base``."""
    parser.add_argument(
        "--base", type=Path, metavar="BASE",
        help="the adapter's base; by default the folder where it lay while training",
    )  # fmt: skip


def add_qlora_base(parser: ArgumentParser) -> None:
    """Add ``--qlora-base``."""
    parser.add_argument(
        "--qlora-base", choices=("original", "dequantized"),
        help="fold a QLoRA adapter into the base, or into the rounded one it was trained on",
    )  # fmt: skip


def add_precision(parser: ArgumentParser) -> None:
    """Add ``--precision``."""
    parser.add_argument(
        "--precision", choices=PRECISIONS,
        help="fp32 by default; fp16 halves the files, int8-weights makes a quarter of them; int8 "
        "also computes with integers",
    )  # fmt: skip


def add_texts(parser: ArgumentParser) -> None:
    """Add what a package says of itself."""
    parser.add_argument("--name", help="the package's name; the output folder's by default")
    parser.add_argument("--segments", help="what it segments, in a few words")


def refuse_given(options: Mapping[str, object], why: str) -> None:
    """Refuse options that a verb would not use where it was asked to go.

    Args:
        options: By name, None where they were not given.
        why: Ends the sentence that starts with the options.

    Raises:
        InputError: One was given.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)}: {why}")
