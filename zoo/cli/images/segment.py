"""``samzoo segment``: segment all objects in images automatically."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.fields import to_json
from samzoo.zoo.cli.options import add_diameter, add_model, add_plane, refuse_given
from samzoo.zoo.cli.progress import progress_bar, say
from samzoo.zoo.cli.thresholds import add_thresholds
from samzoo.zoo.cli.verb import Result, Verb
from samzoo.zoo.hub.default_choice import default_model

if TYPE_CHECKING:
    from samzoo.runtime.large.file_task import FileTask
    from samzoo.runtime.model import Model


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """Images, model, mode, outputs, and how large images and stacks are divided."""

    images: tuple[str, ...]
    mode: Literal["ais", "amg", "apg"]
    model: str | None
    adapter: str | None
    threads: int | None
    provider: str
    tile_shape: tuple[int, int] | None
    halo: tuple[int, int] | None
    diameter: float | Literal["auto", "own"] | None
    foreground_threshold: float | None
    center_threshold: float | None
    boundary_threshold: float | None
    min_size: int | None
    placements: int
    average: int
    level: int | None
    series: int | None
    channel: str | None
    plane: int | None
    stack: Literal["volume", "frames"] | None
    gap_closing: int | None
    min_z_extent: int | None
    workers: int | None
    scheduler: str | None
    overlay: str | None
    overlay_style: Literal["filled", "outlines"] | None
    table: str | None
    outlines: tuple[Literal["imagej", "geojson"], ...]
    output: str
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add images, outputs, model and mode, then tiles, stacks and clusters."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE",
        help="image file (TIFF, PNG, JPEG, OME-Zarr), folder of images, or pattern",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT",
        help="label image (.tif, .png), a new NAME.zarr, or IMAGE.zarr/labels/NAME; or a folder, "
        "which then holds labels/NAME.tif of each image",
    )  # fmt: skip
    parser.add_argument(
        "--force", action="store_true",
        help="replace an existing output; in a folder, segment again what is done",
    )  # fmt: skip
    add_model(parser)
    add_diameter(parser)
    parser.add_argument(
        "--mode", choices=("ais", "amg", "apg"), default="ais",
        help="method: ais uses the AIS decoder's maps (default); apg prompts with points from "
        "these maps; amg prompts with a grid of points, which is slow, for models without AIS "
        "decoder",
    )  # fmt: skip
    add_thresholds(parser)
    parser.add_argument(
        "--overlay", nargs="?", const="", metavar="PNG",
        help="also draw the labels on the image, as a PNG; without a name if OUT is a folder, into "
        "OUT/overlays",
    )  # fmt: skip
    parser.add_argument(
        "--overlay-style", choices=("filled", "outlines"),
        help="with --overlay: fill objects with colour (default), or draw their outlines only",
    )  # fmt: skip
    parser.add_argument(
        "--table", nargs="?", const="", metavar="CSV",
        help="also list all objects, such as area and place; without a name if OUT is a folder, as "
        "OUT/objects.csv, with the number of objects of each image in OUT/counts.csv",
    )  # fmt: skip
    parser.add_argument(
        "--outlines", action="append", choices=("imagej", "geojson"), default=[],
        help="also write the objects' outlines beside the labels: imagej as OUT_rois.zip for "
        "Fiji's ROI Manager, geojson as OUT.geojson for QuPath; in a folder, into OUT/outlines. "
        "Repeat it for both",
    )  # fmt: skip
    _add_tiles(parser)
    add_plane(parser)
    _add_stacks(parser)
    parser.add_argument(
        "--workers", type=int, metavar="N", help="number of local processes that share the work"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="run on the Dask cluster with this scheduler, tcp://HOST:PORT",
    )  # fmt: skip


def _add_tiles(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--tile-shape", nargs=2, type=int, metavar=("H", "W"),
        help="size of a tile without its halo, in pixels (default: as few tiles as possible)",
    )  # fmt: skip
    parser.add_argument(
        "--halo", nargs=2, type=int, metavar=("H", "W"),
        help="smallest margin that a tile sees on each side, in pixels (default: an eighth of the "
        "model's field of view)",
    )  # fmt: skip
    parser.add_argument(
        "--placements", type=int, default=1, metavar="N",
        help="average over N placements of the tiles, which is more stable but takes N times as "
        "long (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--average", type=int, default=1, metavar="N",
        help="average over 1, 2, 4 or 8 orientations of each tile (mirrored, turned), which is "
        "steadier but takes N times as long (default: 1)",
    )  # fmt: skip


def _add_stacks(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--stack", choices=("volume", "frames"),
        help="segment all planes of a stack: volume joins objects across slices, frames numbers "
        "the objects of each plane separately",
    )  # fmt: skip
    parser.add_argument(
        "--gap-closing", type=int, metavar="N",
        help="with --stack volume: close gaps of up to 2 N slices in an object",
    )  # fmt: skip
    parser.add_argument(
        "--min-z-extent",
        type=int,
        metavar="N",
        help="with --stack volume: drop objects in fewer than N slices",
    )


NOT_SETTINGS = (
    "images", "output", "force", "overlay", "overlay_style", "table", "outlines", "model",
    "adapter", "threads", "provider", "workers", "scheduler",
)  # fmt: skip
"""Options on which the labels do not depend; all others are settings of a run over many images. The
model's weights are settings too."""


def run(options: SegmentOptions) -> Result:
    """Segment images automatically, one into a file or several into a folder."""
    from samzoo.zoo.cli.output_kind import is_folder_output

    if options.overlay is None:
        refuse_given({"overlay_style": options.overlay_style}, "needs --overlay; give it, too")
    if is_folder_output(options.output, options.images):
        return _into_folder(options)
    return _into_file(options)


def _into_file(options: SegmentOptions) -> Result:
    from samzoo.runtime.outlines.writing import outline_path
    from samzoo.zoo.cli.model_loading import load_model
    from samzoo.zoo.cli.output_kind import single_image

    written: dict[str, Path | None] = {}
    for name, value in (("overlay", options.overlay), ("table", options.table)):
        if value == "":
            raise InputError(f"--{name}: needs a name, because {options.output} is one file")
        written[name] = None if value is None else Path(value)
    output = Path(options.output)
    task = _task(single_image(options.images[0]), output, options, **written)
    task.check()
    row, notes = _segmented(model := load_model(options), task)
    result: Result = {
        "text": str(output), "images": [row], "model": options.model or default_model(),
    }  # fmt: skip
    if model.adapter is not None:
        result["adapter"] = model.adapter
    result.update({name: str(path) for name, path in written.items() if path is not None})
    if options.outlines:
        result["outlines"] = [str(outline_path(output, form)) for form in task.outlines]
    return {**result, "notes": notes} if notes else result


def _into_folder(options: SegmentOptions) -> Result:
    from samzoo.runtime.batch.folder_run import FolderRun
    from samzoo.runtime.batch.inputs import find_inputs
    from samzoo.zoo.cli.batch_segmentation import model_settings, segment_folder
    from samzoo.zoo.cli.model_loading import load_model
    from samzoo.zoo.cli.output_kind import overlay_folder, table_file

    folder = Path(options.output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, and is needed as a folder; choose another output")
    task = _task(Path(), folder, options)
    task.check_options()
    overlays = overlay_folder(options.overlay, folder)
    table = table_file(options.table, folder)
    inputs = find_inputs(options.images, output=folder)
    model = load_model(options)
    chosen = {k: v for k, v in to_json(options).items() if k not in NOT_SETTINGS}
    run = FolderRun(
        inputs=inputs, folder=folder, task=task, settings={**model_settings(model), **chosen},
        overlays=overlays, table=table, force=options.force,
    )  # fmt: skip
    return {**segment_folder(run, model), "model": options.model or default_model()}


def _task(
    path: Path,
    output: Path,
    options: SegmentOptions,
    *,
    overlay: Path | None = None,
    table: Path | None = None,
) -> FileTask:
    from samzoo.runtime.large.file_task import FileTask
    from samzoo.zoo.cli.thresholds import mode_thresholds

    return FileTask(
        path=path,
        output=output,
        overlay=overlay,
        overlay_style=options.overlay_style or "filled",
        table=table,
        outlines=tuple(dict.fromkeys(options.outlines)),
        diameter=options.diameter,
        mode=options.mode,
        thresholds=mode_thresholds(options, options.mode),
        tile_shape=options.tile_shape,
        halo=options.halo,
        placements=options.placements,
        average=options.average,
        level=options.level,
        series=options.series,
        channel=options.channel,
        plane=options.plane,
        stack=options.stack,
        gap_closing=options.gap_closing,
        min_z_extent=options.min_z_extent,
        workers=options.workers,
        scheduler=options.scheduler,
        force=options.force,
    )


def _segmented(model: Model, task: FileTask) -> tuple[Result, Sequence[str]]:
    """Do a task; returns what is reported of its image, and notes on it."""
    from samzoo.runtime.large.file_segmentation import run_task

    try:
        with progress_bar() as progress:
            found = run_task(model, task, progress=progress)
    except KeyboardInterrupt:
        if task.in_pieces:
            raise KeyboardInterrupt("run the same command again to resume") from None
        raise
    row: Result = {"image": str(task.path), "labels": str(task.output), "objects": found.objects}
    if found.scale is not None:
        row.update(found.scale.facts())
        if found.scale.origin == "estimated":
            say(found.scale.line())
    if found.in_pieces:
        row.update(size=list(found.size), resumed=found.resumed)
    return row, found.notes


VERB = Verb(
    purpose="segment all objects in images automatically",
    example="samzoo segment examples/nuclei.tif -o labels.tif --overlay overlay.png",
    options=SegmentOptions,
    add_options=add_options,
    run=run,
)
