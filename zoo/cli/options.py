"""Options that several verbs have. Imports nothing heavy."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from samzoo.runtime.errors import InputError
from samzoo.runtime.labels.tables import SPLIT_NAME

Diameter = float | Literal["auto", "own"] | None
"""A value of ``--diameter``, as in ``samzoo.runtime.engine.object_scale``."""

DIAMETER_WORDS: tuple[Literal["auto", "own"], ...] = ("auto", "own")

PRECISIONS = ("fp32", "fp16", "int8-weights", "int8")
"""As in ``samzoo.runtime.formats.manifest``, which takes long to import; a test compares."""


def add_output(
    parser: ArgumentParser, what: str, *, force: bool = True, required: bool = True
) -> None:
    """Add ``--output``, and ``--force`` where a result may be replaced."""
    parser.add_argument("-o", "--output", required=required, type=Path, metavar="OUT", help=what)
    if force:
        parser.add_argument("--force", action="store_true", help="replace an existing output")


def add_model(parser: ArgumentParser, *, several: bool = False) -> None:
    """Add the options that choose a model, or ``several``, and where it runs."""
    more: dict[str, Any] = {"action": "append", "default": []} if several else {}
    parser.add_argument(
        "--model", metavar="REF", **more,
        help="model name (see samzoo list) or package folder (default: the model that ships)"
        + ("; repeat it to compare models" if several else ""),
    )  # fmt: skip
    parser.add_argument(
        "--adapter", metavar="NAME",
        help="adapter to use, in a package with several (default: the first)",
    )  # fmt: skip
    add_machine(parser)


def add_machine(parser: ArgumentParser) -> None:
    """Add the options that say where a model runs."""
    parser.add_argument(
        "--threads", type=int, metavar="N", help="number of CPU threads (default: all cores)"
    )
    parser.add_argument(
        "--provider", default="cpu", metavar="NAME",
        help="hardware to run on: cpu (default), cuda, coreml, openvino or directml; samzoo doctor "
        "lists what is available",
    )  # fmt: skip


class RunOptions(Protocol):
    """The options that say how a model runs and sees an image."""

    @property
    def adapter(self) -> str | None:
        """The adapter to use; None for the package's first."""

    @property
    def threads(self) -> int | None:
        """Number of CPU threads; None for all cores."""

    @property
    def provider(self) -> str:
        """The hardware to run on."""

    @property
    def diameter(self) -> Diameter:
        """Diameter of the objects in image pixels, ``auto`` or ``own``; None if not given."""


class ModelOptions(RunOptions, Protocol):
    """The options that choose a model, and how it runs and sees an image."""

    @property
    def model(self) -> str | None:
        """Name or folder; None for the default model."""


def add_diameter(parser: ArgumentParser) -> None:
    """Add ``--diameter``."""
    parser.add_argument(
        "--diameter", type=_diameter, metavar="PX|auto|own",
        help="median diameter of the objects in pixels of the image; auto estimates it from the "
        "image, own keeps the model's scale, for objects of the size that it was trained on "
        "(default: own)",
    )  # fmt: skip


def _diameter(text: str) -> Diameter:
    for word in DIAMETER_WORDS:
        if text == word:
            return word
    try:
        return float(text)
    except ValueError:
        words = " or ".join(DIAMETER_WORDS)
        raise ArgumentTypeError(f"found {text!r}, allowed: a number of pixels, {words}") from None


class AnnotatedOptions(Protocol):
    """The options of ``add_annotated`` that name a table."""

    @property
    def images(self) -> Path:
        """A folder, a file, or a list."""

    @property
    def split(self) -> Path | None:
        """A table; ``NO_SPLIT`` for none, and None for one beside the images."""


def add_annotated(parser: ArgumentParser) -> None:
    """Add the options that name annotated images, their parts and groups."""
    parser.add_argument(
        "--images", required=True, type=Path, metavar="DIR",
        help="folder of images, one image, or a list: a CSV file with the columns image, label, "
        "and perhaps split and group",
    )  # fmt: skip
    parser.add_argument(
        "--labels", type=Path, metavar="DIR",
        help="folder of label images with the images' names, or one label image; not with a list",
    )  # fmt: skip
    parser.add_argument(
        "--split", type=Path, metavar="FILE.csv",
        help="table of the images' parts and groups: columns file, split (train, val, test), group "
        f"(default: {SPLIT_NAME} in the folder of the images or beside it; none: no table)",
    )  # fmt: skip


NO_SPLIT = Path("none")


def chosen_table(options: AnnotatedOptions) -> Path | None:
    """Return the table of parts and groups: that of ``--split``, or one beside the images."""
    from samzoo.runtime.labels.lists import beside

    if options.split is None:
        return beside(options.images)
    return options.split if options.split != NO_SPLIT else None


def add_label_meaning(parser: ArgumentParser) -> None:
    """Add the options that say what the numbers in label images mean."""
    parser.add_argument(
        "--split-components", action="store_true",
        help="make each connected part of a label image an object, for masks (0 and 255) and class "
        "maps; objects that touch become one",
    )  # fmt: skip
    parser.add_argument(
        "--ignore", type=int, action="append", default=[], metavar="ID",
        help="id of pixels that nobody annotated, besides -1: neither objects nor background; "
        "repeat it for more ids",
    )  # fmt: skip


def add_plane(parser: ArgumentParser) -> None:
    """Add the options that choose an image in a file."""
    parser.add_argument(
        "--level", type=int, metavar="N", help="level of a pyramid to read; 0 is full size"
    )
    parser.add_argument(
        "--series", type=int, metavar="N", help="image to read from a TIFF with several, from 0"
    )
    parser.add_argument(
        "--channel", metavar="NAME",
        help="channel to read: its number from 0, its name in the file, or red, green, blue",
    )  # fmt: skip
    parser.add_argument(
        "--plane", type=int, metavar="N", help="plane of a stack or animation to read, from 0"
    )


class PlaneOptions(Protocol):
    """The options that choose an image in a file; None stands for no choice."""

    @property
    def level(self) -> int | None:
        """Level of a pyramid."""

    @property
    def series(self) -> int | None:
        """Image of a TIFF with several."""

    @property
    def channel(self) -> str | None:
        """Number or name of a channel."""

    @property
    def plane(self) -> int | None:
        """Plane of a stack."""


def chosen_plane(options: PlaneOptions) -> dict[str, Any]:
    """Return the options of ``add_plane`` as ``read_image`` takes them."""
    return {
        "level": options.level, "series": options.series, "channel": options.channel,
        "plane": options.plane,
    }  # fmt: skip


def add_store(parser: ArgumentParser) -> None:
    """Add the option that keeps embeddings."""
    parser.add_argument(
        "--store", type=Path, metavar="DIR",
        help="folder that keeps the embeddings of each tile, so that no tile is encoded twice; for "
        "images of any size",
    )  # fmt: skip


def add_base(parser: ArgumentParser) -> None:
    """Add ``--base``."""
    parser.add_argument(
        "--base", type=Path, metavar="BASE",
        help="base folder that the adapter was trained on (default: where it lay while training)",
    )  # fmt: skip


def add_qlora_base(parser: ArgumentParser) -> None:
    """Add ``--qlora-base``."""
    parser.add_argument(
        "--qlora-base", choices=("original", "dequantized"),
        help="weights that a QLoRA adapter is folded into: the base's own, or the rounded ones it "
        "was trained on (default: dequantized)",
    )  # fmt: skip


def add_precision(parser: ArgumentParser) -> None:
    """Add ``--precision``."""
    parser.add_argument(
        "--precision", choices=PRECISIONS,
        help="number format of the stored weights: fp32 (default), fp16 (half the size), "
        "int8-weights (a quarter), or int8 (also computes with integers)",
    )  # fmt: skip


def add_texts(parser: ArgumentParser) -> None:
    """Add what a package says of itself."""
    parser.add_argument("--name", help="name of the package (default: the output folder's name)")
    parser.add_argument(
        "--segments", metavar="TEXT", help="what the model segments, in a few words"
    )


def refuse_given(options: Mapping[str, object], why: str) -> None:
    """Refuse options that a verb would not use.

    Args:
        options: Values by option name; None stands for an option that was not given.
        why: The end of the message, which starts with the options.

    Raises:
        InputError: One of the options was given.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)}: {why}")
