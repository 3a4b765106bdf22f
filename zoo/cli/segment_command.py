"""The verb ``segment``: which images, where their labels go, and what is reported.

Takes parsed options, calls public functions, and returns a dict as ``commands.py`` says.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError, NotFoundError
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.image_files import SUFFIXES
from samzoo.runtime.images.reading import LABEL_SUFFIXES, list_images, read_image
from samzoo.runtime.large.file_segmentation import run_task
from samzoo.runtime.large.file_task import FileTask
from samzoo.runtime.windows.zarr_source import is_zarr
from samzoo.zoo.hub.names import DEFAULT_MODEL

from .label_outputs import of_one_image
from .model_options import load_model
from .progress import progress_bar

Result = dict[str, Any]
Pairs = Sequence[tuple[Path, Path]]


def segment(options: Namespace) -> Result:
    """Segment images automatically."""
    images = _images(options.images)
    pairs = _outputs(images, options)
    overlay = of_one_image(options, "overlay", pairs)
    table = of_one_image(options, "table", pairs)
    tasks = [_task(image, output, overlay, table, options) for image, output in pairs]
    for task in tasks:
        task.check()
    if len(tasks) > 1:  # an unusable one is found before the first takes its time
        for task in tasks:
            if not task.in_pieces:
                read_image(task.path)
    rows: list[Result] = []
    notes: list[str] = []
    for task in tasks:
        row, of_image = _segmented(task, options)
        rows.append(row)
        notes += of_image
    text = "\n".join(str(output) for _, output in pairs)
    result: Result = {"text": text, "images": rows, "model": options.model or DEFAULT_MODEL}
    if (adapter := load_model(options).adapter) is not None:
        result["adapter"] = adapter
    written = {"overlay": overlay, "table": table}
    result.update({name: str(path) for name, path in written.items() if path is not None})
    return {**result, "notes": notes} if notes else result


def _task(
    path: Path, output: Path, overlay: Path | None, table: Path | None, options: Namespace
) -> FileTask:
    return FileTask(
        path=path,
        output=output,
        overlay=overlay,
        table=table,
        mode=options.mode,
        tile_shape=tuple(options.tile_shape) if options.tile_shape else None,
        halo=tuple(options.halo) if options.halo else None,
        placements=options.placements,
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


def _segmented(task: FileTask, options: Namespace) -> tuple[Result, Sequence[str]]:
    """Do a task; returns what is reported of its image, and notes on it."""
    try:
        with progress_bar() as progress:
            found = run_task(load_model(options), task, progress=progress)
    except KeyboardInterrupt:
        if task.in_pieces:
            raise KeyboardInterrupt("run the same command again to go on") from None
        raise
    row: Result = {"image": str(task.path), "labels": str(task.output), "objects": found.objects}
    if found.in_pieces:
        row.update(size=list(found.size), resumed=found.resumed)
    return row, found.notes


def _images(given: Sequence[str]) -> list[Path]:
    """Files as they are, those in folders, and those that match a pattern."""
    found: list[Path] = []
    for name in given:
        path = Path(name)
        if is_zarr(path) or path.is_file():
            found.append(path)
        elif path.is_dir() and path.suffix.lower() not in SUFFIXES:
            found += list_images(path)
        elif any(sign in name for sign in "*?["):
            matches = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
            if not matches:
                raise NotFoundError(f"{name}: no file matches")
            found += matches
        else:
            found.append(path)  # reading it says that it is not there
    return found


def _outputs(images: list[Path], options: Namespace) -> Pairs:
    """Pairs of image and label path; a folder of outputs for several images."""
    given = [Path(name) for name in options.images]
    if images == given and len(images) == 1:
        return [(images[0], Path(options.output))]
    folder = Path(options.output)
    if folder.suffix in LABEL_SUFFIXES:
        raise InputError(f"{folder}: {len(images)} images need a folder as output, not one file")
    outputs = [folder / f"{image.stem}.tif" for image in images]
    twice = {path for path in outputs if outputs.count(path) > 1}
    if twice:
        raise InputError(f"{sorted(twice)[0]}: two images would write it; rename one")
    for path in outputs:
        check_output(path, force=options.force, inputs=images)
    return [*zip(images, outputs, strict=True)]
