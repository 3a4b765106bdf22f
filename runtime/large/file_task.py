"""The task of segmenting a file: its options, their checks, and whether it is done in pieces.

In: a file, an output and options. Out: a checked ``FileTask``, or an error before any work.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from samzoo.runtime.automatic.maps import check_average
from samzoo.runtime.automatic.modes import Mode, Parameters, parameters_of
from samzoo.runtime.engine.object_scale import Diameter
from samzoo.runtime.errors import InputError, SamzooError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.output_checks import (
    check_labels_output,
    check_overlay_output,
    check_table_output,
)
from samzoo.runtime.images.overlay import OverlayStyle
from samzoo.runtime.images.reading import TIFF_SUFFIXES
from samzoo.runtime.outlines.writing import OutlineFormat, check_outlines
from samzoo.runtime.pieces.request import check_large_output
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.pixels.zarr_source import is_zarr
from samzoo.runtime.volumes.stack import Kind
from samzoo.runtime.windows.opening import open_source

WHOLE_PIXELS = 2**24
"""Most pixels of a TIFF that is segmented whole (own choice: 4096 x 4096; labels are equal)."""

PIECEWISE = ("stack", "workers", "scheduler")
"""Options that only images in pieces have; each of them chooses pieces."""


@dataclass(frozen=True, kw_only=True)
class FileTask:
    """A file to segment, its outputs and all options.

    Attributes:
        path: The image file, or an OME-Zarr folder.
        output: Path of the labels.
        overlay: A PNG file with the labels drawn on the image.
        overlay_style: Whether it fills objects with colour, or draws outlines only.
        table: A CSV file with a row for each object.
        outlines: Formats of the outlines, which are written beside the labels.
        diameter: As in ``segment_file``.
        mode: As in ``Model.segment``; images in pieces need ``ais``.
        parameters: The mode's thresholds.
        thresholds: Fields of the mode's thresholds to replace, if ``parameters`` is None.
        tile_shape: (height, width) of the model's tiles.
        halo: (height, width) of least context around each tile.
        placements: How often the tiles are laid on the image.
        average: In how many orientations a tile is seen.
        level: Which level of a pyramid.
        series: Which image of a file with several.
        channel: Which channel, by number, by its name in the file, or by colour.
        plane: Which plane of a stack.
        stack: How all planes of a stack belong together.
        gap_closing: As in ``merge_slices``; only for volumes.
        min_z_extent: As in ``merge_slices``; only for volumes.
        workers: Processes of this machine that share the work.
        scheduler: Address of a Dask cluster that does the work.
        force: Replace outputs, and delete the work folder of other work.
    """

    path: Path
    output: Path
    overlay: Path | None = None
    overlay_style: OverlayStyle = "filled"
    table: Path | None = None
    outlines: tuple[OutlineFormat, ...] = ()
    diameter: Diameter = None
    mode: Mode = "ais"
    parameters: Parameters | None = None
    thresholds: Mapping[str, Any] | None = None
    tile_shape: Size | None = None
    halo: Size | None = None
    placements: int = 1
    average: int = 1
    level: int | None = None
    series: int | None = None
    channel: int | str | None = None
    plane: int | None = None
    stack: Kind | None = None
    gap_closing: int | None = None
    min_z_extent: int | None = None
    workers: int | None = None
    scheduler: str | None = None
    force: bool = False

    @property
    def source(self) -> SourceSpec:
        """The plane of the file that is segmented."""
        return SourceSpec(
            os.path.realpath(self.path), self.level or 0, self.series, self.channel, self.plane
        )

    def parameters_for(self, ais: AisParameters) -> Parameters:
        """Return the mode's thresholds, given the model's own at the scale that is used.

        Raises:
            InputError: The mode is unknown, the parameters belong to another mode, or a threshold
                is unknown or out of range.
        """
        found: Any = parameters_of(self.mode, self.parameters, ais)
        known = [each.name for each in fields(found)]
        unknown = [name for name in self.thresholds or {} if name not in known]
        if unknown:
            raise InputError(f"thresholds: found {unknown[0]!r}, known are: {', '.join(known)}")
        parameters: Parameters = replace(found, **(self.thresholds or {}))
        return parameters

    @cached_property
    def in_pieces(self) -> bool:
        """True for large TIFFs, Zarr, and files with an option of ``PIECEWISE``."""
        if is_zarr(self.path) or self._writes_zarr:
            return True
        if any(getattr(self, name) is not None for name in PIECEWISE):
            return True
        if self.path.suffix.lower() not in TIFF_SUFFIXES:
            return False
        try:
            with closing(open_source(self.source)) as source:
                return math.prod(source.size) > WHOLE_PIXELS
        except SamzooError:
            return False  # reading the whole file gives the best error

    @property
    def _writes_zarr(self) -> bool:
        return any(part.endswith(".zarr") for part in self.output.parts)

    def check(self) -> None:
        """Refuse a task that cannot be done, before any work.

        Raises:
            InputError: An output has a suffix that cannot be written, options exclude each other,
                or the option ``stack`` or ``plane`` is missing for a stack.
            OutputExistsError: An output exists and ``force`` is false, or it is the image.
            SamzooError: A file that is segmented in pieces cannot be opened.
        """
        if not self._writes_zarr:
            check_labels_output(self.output, self.path, force=self.force)
        if self.overlay is not None:
            check_overlay_output(self.overlay, self.path, self.output, force=self.force)
        if self.table is not None:
            check_table_output(self.table, self.path, self.output, force=self.force)
        check_outlines(self.output, self.outlines, self.path, force=self.force)
        self.check_options()
        if self.stack is None and (is_zarr(self.path) or self.path.suffix in TIFF_SUFFIXES):
            open_source(self.source).close()  # each choice fits the file, and none is missing
        if not self.in_pieces:
            return
        self._refuse_mode()
        check_large_output(self.output, self.source, force=self.force)

    def check_options(self) -> None:
        """Refuse options that exclude each other, whatever the file.

        Raises:
            InputError: Two options exclude each other, one needs another, or a number is not
                allowed.
        """
        if self.stack is not None and self.stack not in get_args(Kind):
            raise InputError(
                f"--stack: found {self.stack!r}, allowed are {', '.join(get_args(Kind))}"
            )
        if self.stack is not None and self.plane is not None:
            raise InputError("--plane: --stack segments all planes; give only one of the two")
        of_volume = {"--gap-closing": self.gap_closing, "--min-z-extent": self.min_z_extent}
        given = [name for name, value in of_volume.items() if value is not None]
        if given and self.stack != "volume":
            raise InputError(
                f"{', '.join(given)}: is for volumes; pass --stack volume to join objects over the "
                "slices of a volume"
            )
        if self.parameters is not None and self.thresholds:
            raise InputError("give either parameters or thresholds, not both")
        check_average(self.average)
        if self.scheduler and self.workers:
            raise InputError("give either --scheduler or --workers, not both")
        if any(getattr(self, name) is not None for name in PIECEWISE):
            self._refuse_mode()

    def _refuse_mode(self) -> None:
        if self.mode != "ais":
            raise InputError(
                f"--mode: found {self.mode!r}, allowed for images in pieces: ais; such are large "
                f"ones, Zarr, and those with --{', --'.join(PIECEWISE)}"
            )
