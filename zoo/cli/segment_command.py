"""The verb ``segment``: which way an image goes, whole or in pieces, and what is reported.

Takes parsed options, calls public functions, and returns a dict as ``commands.py`` says.
"""

from __future__ import annotations

import dataclasses
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.errors import InputError, NotFoundError, SamzooError
from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.decoding import SUFFIXES
from samzoo.runtime.images.label_table import LabelTable
from samzoo.runtime.images.overlay import write_overlay
from samzoo.runtime.images.reading import (
    LABEL_SUFFIXES,
    TIFF_SUFFIXES,
    list_images,
    read_image,
    write_labels,
)
from samzoo.runtime.large.segment import Request, check_request, segment_large
from samzoo.runtime.pieces.context import ModelSpec
from samzoo.runtime.pieces.steps import Executor, ThisProcess
from samzoo.runtime.volumes.stack import StackOptions, segment_stack
from samzoo.runtime.windows.opening import open_source, stack_shape
from samzoo.runtime.windows.source import SourceSpec
from samzoo.runtime.windows.zarr_source import is_zarr
from samzoo.zoo.hub.names import DEFAULT_MODEL, resolve
from samzoo.zoo.hub.references import pull_encoder

from .label_outputs import check_overlay, check_table, label_output
from .model_options import load_model, source_spec
from .progress import progress_bar

Result = dict[str, Any]
Pairs = Sequence[tuple[Path, Path]]

WHOLE_PIXELS = 2**24
"""Larger TIFFs go in pieces (own choice: 4096 x 4096; the labels are the same)."""

PIECEWISE = ("level", "series", "channel", "plane", "stack", "workers", "scheduler")
"""Options that only images in pieces have."""


def segment(options: Namespace) -> Result:
    """Segment images automatically."""
    images = _images(options.images)
    pairs = _outputs(images, options)
    overlay = check_overlay(options, pairs)
    table = check_table(options, pairs)
    in_pieces = [_goes_in_pieces(image, output, options) for image, output in pairs]
    if any(in_pieces) and options.mode != "ais":
        raise InputError(
            f"--mode: found {options.mode!r}, allowed for images in pieces: ais; such are large "
            f"ones, Zarr, and those with --{', --'.join(PIECEWISE)}"
        )
    if len(pairs) > 1:  # an unusable one is found before the first takes its time
        for (image, _), piecewise in zip(pairs, in_pieces, strict=True):
            if not piecewise:
                read_image(image)
    rows: list[Result] = []
    for (image, output), piecewise in zip(pairs, in_pieces, strict=True):
        if piecewise:
            rows.append(_in_pieces(image, output, overlay, table, options))
        else:
            rows.append(_whole(image, output, overlay, table, options))
    notes = [note for row in rows for note in row.pop("notes", [])]
    text = "\n".join(str(output) for _, output in pairs)
    result: Result = {"text": text, "images": rows, "model": options.model or DEFAULT_MODEL}
    if (adapter := load_model(options).adapter) is not None:
        result["adapter"] = adapter
    written = {"overlay": overlay, "table": table}
    result.update({name: str(path) for name, path in written.items() if path is not None})
    return {**result, "notes": notes} if notes else result


def _whole(
    path: Path, output: Path, overlay: Path | None, table: Path | None, options: Namespace
) -> Result:
    """Segment an image that fits into memory several times."""
    image = read_image(path)
    with progress_bar() as progress:
        labels = load_model(options).segment(
            image,
            tile_shape=tuple(options.tile_shape) if options.tile_shape else None,
            halo=tuple(options.halo) if options.halo else None,
            placements=options.placements,
            mode=options.mode,
            progress=progress,
        )
    write_labels(output, labels)
    if overlay is not None:
        write_overlay(overlay, image, labels)
    if table is not None:
        rows = LabelTable((labels.shape[0], labels.shape[1]))
        rows.add(labels)
        rows.write(table)
    return {"image": str(path), "labels": str(output), "objects": _count(labels)}


def _in_pieces(
    path: Path, output: Path, overlay: Path | None, table: Path | None, options: Namespace
) -> Result:
    """Segment an image of any size, or a stack."""
    request = _request(path, output, options)
    check_request(request)
    planes = stack_shape(request.source)[:-2]
    if planes and options.stack is None and options.plane is None and np.prod(planes) > 1:
        count = " x ".join(map(str, planes))
        raise InputError(
            f"{path}: holds {count} planes; pass --stack volume to join objects over slices, "
            "--stack frames to keep the planes apart, or --plane N"
        )
    try:
        with _executor(options) as executor, progress_bar() as progress:
            request = dataclasses.replace(request, executor=executor, overlay=overlay, table=table)
            if options.stack is not None:
                stack = StackOptions(options.stack, options.gap_closing, options.min_z_extent)
                result = segment_stack(request, stack, progress, load_model(options))
            else:
                result = segment_large(request, progress, load_model(options))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("run the same command again to go on") from None
    return {"image": str(path), "labels": str(output), **result}


def _request(path: Path, output: Path, options: Namespace) -> Request:
    package = resolve(options.model or DEFAULT_MODEL)
    base = pull_encoder(package)
    threads = options.threads
    if threads is None and options.workers:
        threads = max(1, (os.cpu_count() or 1) // options.workers)
    model = ModelSpec(
        str(package.resolve()), None if base is None else str(base.resolve()), options.adapter,
        threads, options.provider,
    )  # fmt: skip
    return Request(
        source_spec(path, options),
        model,
        output,
        tile_shape=tuple(options.tile_shape) if options.tile_shape else None,
        halo=tuple(options.halo) if options.halo else None,
        placements=options.placements,
        force=options.force,
    )


@contextmanager
def _executor(options: Namespace) -> Iterator[Executor]:
    if options.scheduler and options.workers:
        raise InputError("give either --scheduler or --workers, not both")
    if not (options.scheduler or options.workers is not None):
        yield ThisProcess()
        return
    from samzoo.runtime.pieces.cluster import connected, local

    chosen = connected(options.scheduler) if options.scheduler else local(options.workers)
    with chosen as cluster:
        yield cluster


def _goes_in_pieces(image: Path, output: Path, options: Namespace) -> bool:
    if is_zarr(image) or any(part.endswith(".zarr") for part in output.parts):
        return True
    if any(getattr(options, name) is not None for name in PIECEWISE):
        return True
    if image.suffix.lower() not in TIFF_SUFFIXES:
        return False
    try:
        with closing(open_source(SourceSpec(str(image)))) as source:
            return source.size[0] * source.size[1] > WHOLE_PIXELS
    except SamzooError:
        return False  # reading it as a whole says best what is wrong


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
        output = Path(options.output)
        if not any(part.endswith(".zarr") for part in output.parts):
            label_output(images[0], options)
        return [(images[0], output)]
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


def _count(labels: Labels2D) -> int:
    return int(np.count_nonzero(np.unique(labels)))
