"""``samzoo prompt``: segment the objects that points or boxes mark, also through a stack.

With ``--labels`` the masks correct labels that exist.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from samzoo.runtime.errors import ImageError, InputError
from samzoo.zoo.cli.options import (
    add_diameter,
    add_model,
    add_output,
    add_plane,
    add_store,
    refuse_given,
)
from samzoo.zoo.cli.progress import progress_bar
from samzoo.zoo.cli.verb import Result, Verb

if TYPE_CHECKING:
    from samzoo.runtime.model import Model
    from samzoo.zoo.annotation.corrections import Correction


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """Image, prompts, model, what is written or corrected, and how objects are followed."""

    image: Path
    point: tuple[tuple[float, float], ...]
    label: tuple[int, ...]
    box: tuple[tuple[float, float, float, float], ...]
    prompts: Path | None
    mask: Path | None
    store: Path | None
    level: int | None
    series: int | None
    channel: str | None
    plane: int | None
    diameter: float | Literal["auto", "own"] | None
    slice: int | None
    projection: Literal["box", "mask", "points", "points_and_mask", "single_point"] | None
    iou_threshold: float | None
    box_extension: float | None
    model: str | None
    adapter: str | None
    threads: int | None
    provider: str
    overlay: Path | None
    labels: Path | None
    add: bool
    replace: int | None
    delete: tuple[int, ...]
    output: Path | None
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add image, prompts, outputs and model, then stores and stacks."""
    parser.add_argument(
        "image", type=Path, metavar="IMAGE",
        help="image file, file made by samzoo embed, or folder of micro-sam's embeddings",
    )  # fmt: skip
    add_output(
        parser, "label image (.tif, .png), one label an object; needed but with --labels, which "
        "are changed in place without it", required=False,
    )  # fmt: skip
    add_model(parser)
    add_diameter(parser)
    parser.add_argument(
        "--point", nargs=2, type=float, action="append", metavar=("X", "Y"), default=[],
        help="point (column, row) in pixels, in or beside the object; repeat it for more points",
    )  # fmt: skip
    parser.add_argument(
        "--label", type=int, choices=(0, 1), action="append", default=[],
        help="label of a point, in the order of the points: 1 object (default), 0 background",
    )  # fmt: skip
    parser.add_argument(
        "--box", nargs=4, type=float, action="append", metavar=("X0", "Y0", "X1", "Y1"),
        default=[],
        help="corners of a box around one object, in pixels; without points, repeat it for more "
        "objects",
    )  # fmt: skip
    parser.add_argument(
        "--prompts", type=Path, metavar="FILE.json",
        help="file with the prompts of any number of objects",
    )  # fmt: skip
    parser.add_argument(
        "--mask", type=Path, metavar="FILE",
        help="mask or label image (.tif, .png, .npy) of rough objects, of the image's size; each "
        "is prompted with its box and its mask",
    )  # fmt: skip
    parser.add_argument(
        "--overlay", type=Path, metavar="PNG", help="also draw the labels on the image, as a PNG"
    )
    _add_correcting(parser)
    add_store(parser)
    add_plane(parser)
    _add_following(parser)


def _add_correcting(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--labels", type=Path, metavar="FILE",
        help="label image of this image to correct; with one of --add, --replace and --delete",
    )  # fmt: skip
    parser.add_argument(
        "--add", action="store_true",
        help="with --labels: add the prompted objects, with new numbers; other objects keep their "
        "pixels",
    )  # fmt: skip
    parser.add_argument(
        "--replace", type=int, metavar="ID",
        help="with --labels: give the object with this number the prompted mask",
    )  # fmt: skip
    parser.add_argument(
        "--delete", type=int, nargs="+", metavar="ID", default=[],
        help="with --labels: delete the objects with these numbers; without prompts",
    )  # fmt: skip


def _add_following(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--slice", type=int, metavar="Z",
        help="the prompts are in this slice of a stack; follow the objects through the others",
    )  # fmt: skip
    parser.add_argument(
        "--projection", choices=("box", "mask", "points", "points_and_mask", "single_point"),
        help="with --slice: how a slice's mask becomes the prompt of the next (default: box)",
    )  # fmt: skip
    parser.add_argument(
        "--iou-threshold", type=float, metavar="IOU",
        help="with --slice: an object ends if its masks in two slices overlap less than this "
        "(default: 0.8)",
    )  # fmt: skip
    parser.add_argument(
        "--box-extension", type=float, metavar="X",
        help="with --slice: widen boxes by this share of their size, or from 1 on by X pixels",
    )  # fmt: skip


def run(options: PromptOptions) -> Result:
    """Segment prompted objects, in an image or through a stack, or correct labels."""
    from samzoo.runtime.images.output_checks import check_labels_output, check_overlay_output
    from samzoo.zoo.annotation.label_file import locked_labels

    output = _checked_output(options)
    in_place = options.labels is not None and output == options.labels
    check_labels_output(output, options.image, force=options.force or in_place)
    if options.overlay is not None:
        check_overlay_output(options.overlay, options.image, output, force=options.force)
    if options.labels is None:
        return _prompted(options, output, None)
    with locked_labels(output):
        return _corrected(options, output, options.labels)


def _checked_output(options: PromptOptions) -> Path:
    """Return where labels are written; refuse what does not go together with ``--labels``."""
    ways = {
        "add": options.add or None, "replace": options.replace, "delete": options.delete or None
    }  # fmt: skip
    given = [f"--{name}" for name, value in ways.items() if value is not None]
    if options.labels is None:
        refuse_given(ways, "changes labels that exist; pass --labels FILE as well")
        if options.output is None:
            raise InputError("-o/--output: is needed, a label image (.tif, .png)")
        return options.output
    if len(given) != 1:
        raise InputError(
            f"--labels: needs one of --add, --replace ID and --delete ID, found "
            f"{' and '.join(given) or 'none'}"
        )
    refuse_given({"slice": options.slice}, "is for new labels of a stack; omit --labels")
    if not options.labels.is_file():  # before a lock makes its folder
        raise ImageError(f"{options.labels}: no such file; --labels corrects labels that exist")
    if options.output is None:
        refuse_given(
            {"force": options.force or None},
            "the labels are changed in place without it; omit it, or pass --output",
        )
        return options.labels
    return options.output


def _corrected(options: PromptOptions, output: Path, labels: Path) -> Result:
    from samzoo.zoo.annotation.corrections import Correction
    from samzoo.zoo.cli.image_prompting import delete_objects

    correction = Correction(labels, options.image, options.replace, options.delete)
    if not options.delete:
        return _prompted(options, output, correction)
    prompts = {
        "point": options.point or None, "label": options.label or None,
        "box": options.box or None, "prompts": options.prompts, "mask": options.mask,
        "store": options.store, "diameter": options.diameter, "model": options.model,
        "adapter": options.adapter, "threads": options.threads,
        "provider": None if options.provider == "cpu" else options.provider,
    }  # fmt: skip
    refuse_given(prompts, "is for masks, and --delete makes none; omit it")
    _refuse_unused(options)
    place = {
        "level": options.level, "series": options.series, "channel": options.channel,
        "plane": options.plane,
    }  # fmt: skip
    return delete_objects(correction, output, overlay=options.overlay, place=place)


def _prompted(options: PromptOptions, output: Path, correction: Correction | None) -> Result:
    from samzoo.zoo.cli.model_loading import load_model
    from samzoo.zoo.cli.prompt_file import from_mask, from_options, read_prompts

    ways = [options.prompts, options.mask, options.point or options.box or options.label]
    if sum(bool(way) for way in ways) > 1:
        raise InputError("give either --prompts, or --mask, or --point and --box, not several")
    _refuse_unused(options)
    if options.prompts is not None:
        objects = read_prompts(options.prompts)
    elif options.mask is not None:
        objects = from_mask(options.mask)
    else:
        objects = from_options(options.point, options.label, options.box)
    if options.slice is not None and any("mask" in item for item in objects):
        raise InputError(f"{options.prompts}: mask: is for images; omit it, or omit --slice")
    model = load_model(options)
    if options.slice is None:
        return _in_image(options, output, model, objects, correction)
    return _in_stack(options, output, options.slice, model, objects)


def _refuse_unused(options: PromptOptions) -> None:
    """Refuse options that have no meaning for this image."""
    following = {
        "projection": options.projection, "iou_threshold": options.iou_threshold,
        "box_extension": options.box_extension,
    }  # fmt: skip
    if options.slice is None:
        refuse_given(following, "follows objects through a stack; pass --slice Z as well")
    else:
        refuse_given({"plane": options.plane}, "--slice chooses the plane already; omit it")
        for_images = {"overlay": options.overlay, "mask": options.mask}
        refuse_given(for_images, "is for images; omit --slice")


def _in_image(
    options: PromptOptions,
    output: Path,
    model: Model,
    objects: list[dict[str, Any]],
    correction: Correction | None,
) -> Result:
    from samzoo.zoo.cli.image_prompting import prompt_image

    with progress_bar() as progress:
        return prompt_image(
            model, objects, options.image, output, overlay=options.overlay,
            store=options.store, diameter=options.diameter, level=options.level,
            series=options.series, channel=options.channel, plane=options.plane,
            progress=progress, correction=correction,
        )  # fmt: skip


def _in_stack(
    options: PromptOptions,
    output: Path,
    start: int,
    model: Model,
    objects: list[dict[str, Any]],
) -> Result:
    from samzoo.runtime.volumes.following import Following
    from samzoo.zoo.cli.stack_prompting import prompt_stack

    given = {
        "projection": options.projection, "iou_threshold": options.iou_threshold,
        "box_extension": options.box_extension,
    }  # fmt: skip
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with progress_bar() as progress:
        return prompt_stack(
            model, objects, options.image, output, start=start,
            following=Following(**chosen), store=options.store, diameter=options.diameter,
            level=options.level,
            series=options.series, channel=options.channel, force=options.force,
            progress=progress,
        )  # fmt: skip


VERB = Verb(
    purpose="segment the objects that points or boxes mark",
    example="samzoo prompt examples/nuclei.tif -o nucleus.tif --box 129 60 152 85",
    options=PromptOptions,
    add_options=add_options,
    run=run,
)
