"""The request to segment an image or a stack in pieces, and its result.

In: a file, an opened model and an output. Out: a ``Request``, the state by which its work folder
is recognized, and a ``SegmentedFile`` when all is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from samzoo.runtime.engine.model_spec import ModelSpec
from samzoo.runtime.engine.object_scale import Diameter, ObjectScale
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.overlay import OverlayStyle
from samzoo.runtime.images.reading import TIFF_SUFFIXES
from samzoo.runtime.model import Model
from samzoo.runtime.outlines.writing import OutlineFormat
from samzoo.runtime.pixels.source_spec import SourceSpec, identity
from samzoo.runtime.windows.label_zarr import attached_image, check_zarr_output
from samzoo.runtime.windows.source import ImageSource

from .context import Context
from .plan import BLOCK, MARGIN
from .steps import Executor, ThisProcess

WORK_VERSION = 2
"""Version of the work folder's files."""


@dataclass(frozen=True)
class Request:
    """A file to segment in pieces, its outputs and options.

    Attributes:
        source: The image.
        model: The opened model.
        output: A TIFF, or an OME-Zarr as ``windows/label_zarr.py`` says.
        tile_shape: (height, width) of the model's tiles; by default as few as cover the image.
        halo: (height, width) around each tile.
        placements: How often the tiles are laid on the image; their maps are averaged.
        average: In how many orientations a tile is seen; their maps are averaged.
        diameter: Median diameter of the objects, in pixels or ``auto``; None leaves the scale at
            which the model was opened.
        parameters: Thresholds of AIS; by default the model's own, at the scale used.
        thresholds: Fields of the thresholds to replace, if ``parameters`` is None.
        table: A CSV file with a row for each object.
        overlay: A PNG of the labels on the image; large images are reduced.
        overlay_style: Whether it fills objects with colour, or draws outlines only.
        outlines: Formats of the outlines, which are written beside the labels.
        force: Replace outputs, and delete the work folder of other work.
        executor: What does the pieces: this process or a cluster.
        workers_model: How the executor's workers open the model; by default as ``model`` was
            opened.
        block: Side of the blocks in which objects are found, a multiple of 16.
        margin: Pixels around a block in which its objects are flooded too.
    """

    source: SourceSpec
    model: Model
    output: Path
    tile_shape: Size | None = None
    halo: Size | None = None
    placements: int = 1
    average: int = 1
    diameter: Diameter = None
    parameters: AisParameters | None = None
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    table: Path | None = None
    overlay: Path | None = None
    overlay_style: OverlayStyle = "filled"
    outlines: tuple[OutlineFormat, ...] = ()
    force: bool = False
    executor: Executor = field(default_factory=ThisProcess)
    workers_model: ModelSpec | None = None
    block: int = BLOCK
    margin: int = MARGIN

    @property
    def ais(self) -> AisParameters:
        """The thresholds of AIS."""
        return self.parameters or replace(self.model.config.ais, **self.thresholds)

    def at(self, scale: ObjectScale) -> Request:
        """Return the request with the model at a scale; workers open it so, too."""
        workers = self.worker_model
        if workers is not None and scale.changed is not None:
            workers = replace(workers, diameter=scale.changed)
        return replace(self, model=self.model.for_objects(scale.changed), workers_model=workers)

    @property
    def worker_model(self) -> ModelSpec | None:
        """How workers open the model; None if it was not opened from a package."""
        return self.workers_model or self.model.spec

    @property
    def work(self) -> Path:
        """The work folder, beside the output or beside the Zarr that holds the output."""
        image = attached_image(self.output)
        if image is not None:
            return image.with_name(f"{image.name}.{self.output.name}.partial")
        return self.output.with_name(f"{self.output.name}.partial")


@dataclass(frozen=True)
class SegmentedFile:
    """The result of segmenting a file.

    Attributes:
        labels: Path of the labels.
        objects: Number of objects.
        size: (height, width); for a stack also the lengths of the axes before them.
        in_pieces: Whether the file was segmented in pieces.
        resumed: Whether an earlier, interrupted run had done part of the work.
        notes: Sentences for the user about the image.
        scale: The scale that was used, and why.
    """

    labels: Path
    objects: int
    size: tuple[int, ...]
    in_pieces: bool
    resumed: bool = False
    notes: tuple[str, ...] = ()
    scale: ObjectScale | None = None


def run_step(
    context: Context, step: str, count: int, executor: Executor, progress: Progress | None
) -> None:
    """Do the pieces of a step that do not exist yet.

    Args:
        context: The opened job.
        step: A name of ``STEPS``.
        count: Number of all pieces.
        executor: What does the pieces.
        progress: Called with (step, pieces done, pieces in all).
    """
    missing = context.work.missing(step, count)
    done = count - len(missing)

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(step, done, count)

    if progress is not None and missing:
        progress(step, done, count)
    executor.run(context, step, missing, report)


def base_state(request: Request, source: ImageSource) -> dict[str, Any]:
    """Return the values that the pieces of any request depend on, as JSON reads them."""
    config = request.model.config
    return {
        "version": WORK_VERSION,
        "source": asdict(request.source),
        "source_state": identity(request.source.path),
        "size": list(source.size),
        "weights_digest": config.weights_digest,
        "preprocessing": to_json(config.preprocessing),
        "ais": asdict(request.ais),
        "diameter": request.diameter,
        "tile_shape": None if request.tile_shape is None else list(request.tile_shape),
        "halo": None if request.halo is None else list(request.halo),
        "placements": request.placements,
        "average": request.average,
        "block": [request.block, request.margin],
    }


def check_large_output(output: Path, source: SourceSpec, *, force: bool) -> None:
    """Refuse an output to which large labels cannot be written, before any work is done.

    Args:
        output: Path of the labels.
        source: The image.
        force: Allow replacing an existing output.

    Raises:
        InputError: The suffix is another one, or the output lies in another image.
        OutputExistsError: The output exists and ``force`` is false.
    """
    suffix = output.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        check_output(output, force=force, inputs=[Path(source.path)])
    elif suffix == ".zarr" or attached_image(output) is not None:
        check_zarr_output(output, source, force=force)
    else:
        raise InputError(
            f"{output}: labels of a large image are written as .tif, as .zarr, or into an image as "
            "IMAGE.zarr/labels/NAME"
        )
