"""What is asked of the pieces of an image or a stack, and what comes of it.

In: a file, an opened model and an output. Out: a ``Request``, the state that its work folder is
known by, and a ``SegmentedFile`` when all is done.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from samzoo.runtime.engine.model_spec import ModelSpec
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.config import AisParameters, ModelConfig, to_json
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.reading import TIFF_SUFFIXES
from samzoo.runtime.model import Model
from samzoo.runtime.windows.label_zarr import attached_image, check_zarr_output
from samzoo.runtime.windows.source import ImageSource, SourceSpec, identity

from .context import Context
from .plan import BLOCK, MARGIN
from .steps import Executor, ThisProcess

WORK_VERSION = 1
"""Of the work folder's files."""


@dataclass(frozen=True)
class Request:
    """What to segment and how.

    Attributes:
        source: Which image.
        model: The model, opened.
        output: A TIFF, or an OME-Zarr as ``label_zarr.py`` says.
        tile_shape: (height, width) of the model's tiles; by default as few as cover the image.
        halo: (height, width) around each tile.
        placements: How often the tiles are laid on the image; their maps are averaged.
        parameters: Thresholds of AIS; the model's own by default.
        table: A CSV file with a row an object.
        overlay: A PNG of the labels on the image, reduced where it is large.
        force: Replace outputs, and throw away what other work left in the work folder.
        executor: Does the work.
        workers_model: How the executor's workers open the model; as ``model`` was by default.
        block: Side of the blocks in which objects are found, a multiple of 16.
        margin: Pixels around a block that are seen with it.
    """

    source: SourceSpec
    model: Model
    output: Path
    tile_shape: Size | None = None
    halo: Size | None = None
    placements: int = 1
    parameters: AisParameters | None = None
    table: Path | None = None
    overlay: Path | None = None
    force: bool = False
    executor: Executor = field(default_factory=ThisProcess)
    workers_model: ModelSpec | None = None
    block: int = BLOCK
    margin: int = MARGIN

    @property
    def worker_model(self) -> ModelSpec | None:
        """What a job tells its workers; None where the model was not opened from a package."""
        return self.workers_model or self.model.spec

    @property
    def work(self) -> Path:
        """The work folder: beside the output, or beside the Zarr that the output goes into."""
        image = attached_image(self.output)
        if image is not None:
            return image.with_name(f"{image.name}.{self.output.name}.partial")
        return self.output.with_name(f"{self.output.name}.partial")


@dataclass(frozen=True)
class SegmentedFile:
    """What came of segmenting a file.

    Attributes:
        labels: Where the labels are.
        objects: How many there are.
        size: (height, width), of a stack with the axes before them.
        in_pieces: Whether the file was segmented in pieces.
        resumed: Whether an earlier, interrupted run had done a part of the work.
        notes: What the user should know about the image, a sentence each.
    """

    labels: Path
    objects: int
    size: tuple[int, ...]
    in_pieces: bool
    resumed: bool = False
    notes: tuple[str, ...] = ()


def run_step(
    context: Context, step: str, count: int, executor: Executor, progress: Progress | None
) -> None:
    """Do the pieces of a step that are not there.

    Args:
        context: The opened job.
        step: A name of ``STEPS``.
        count: Pieces in all.
        executor: Does them.
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


def base_state(request: Request, source: ImageSource, config: ModelConfig) -> dict[str, Any]:
    """Return what the pieces of any request depend on, as JSON gives it back."""
    return {
        "version": WORK_VERSION,
        "source": asdict(request.source),
        "source_state": identity(request.source.path),
        "size": list(source.size),
        "weights_digest": config.weights_digest,
        "preprocessing": to_json(config.preprocessing),
        "ais": asdict(request.parameters or config.ais),
        "tile_shape": None if request.tile_shape is None else list(request.tile_shape),
        "halo": None if request.halo is None else list(request.halo),
        "placements": request.placements,
        "block": [request.block, request.margin],
    }


def check_large_output(output: Path, source: SourceSpec, *, force: bool) -> None:
    """Refuse an output that nothing large can be written to, before any work is done.

    Args:
        output: Where the labels will be.
        source: The image.
        force: Allow to replace an existing output.

    Raises:
        InputError: Its suffix is none of those, or it is of another image.
        OutputExistsError: It is there, and ``force`` is false.
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
