"""The scale of a large image or a stack: found once, and kept with the pieces for a later run.

In: a request, its work folder and the opened image. Out: an ``ObjectScale``, the same at each call.
"""

from __future__ import annotations

import numpy as np

from samzoo.runtime.automatic.sizing import (
    estimated_scale,
    require_size,
    stated_scale,
    unsure_scale,
)
from samzoo.runtime.engine.object_scale import ObjectScale, at_diameter
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.windows.limits import Limits
from samzoo.runtime.windows.source import ImageSource

from .request import Request
from .work import WorkFolder

SIZE = "size"
"""Name of the piece with the estimated diameter. Another number of threads rounds otherwise, so an
estimate that is made again could differ in its last digits, and the pieces would not fit."""


def check_size(request: Request, size: tuple[int, int]) -> None:
    """Refuse a diameter that cannot be used, before any work.

    Args:
        request: The request.
        size: (height, width) of the image.

    Raises:
        InputError: As ``sizing.stated_scale`` and ``sizing.require_size``.
    """
    if request.diameter == "auto":
        require_size(request.model.config)
    else:
        stated_scale(request.model.config, size, request.diameter)


def object_scale(
    request: Request,
    work: WorkFolder,
    source: ImageSource,
    limits: Limits,
    progress: Progress | None = None,
) -> ObjectScale:
    """Return the scale of an image in pieces.

    Args:
        request: The request, which ``check_size`` allows.
        work: The started work folder.
        source: The image.
        limits: The limits of its intensities.
        progress: Called with ("size", tiles done, 0).

    Returns:
        The scale; an estimate is made once.

    Raises:
        ImageError: The image cannot be read.
        StorageError: The disk is full.
    """
    model = request.model
    if request.diameter != "auto":
        return stated_scale(model.config, source.size, request.diameter)
    if limits.constant:
        return unsure_scale(model.config, source.size)
    if not work.has(SIZE, 0):
        found = estimated_scale(model.networks, model.config, source, limits.stretch, progress)
        work.write(SIZE, 0, {"diameter": np.array(found.changed or 0.0)})
    kept = float(work.read(SIZE, 0)["diameter"])
    if not kept:
        return unsure_scale(model.config, source.size)
    scale = at_diameter(model.config, kept).preprocessing.scale
    assert scale is not None
    return ObjectScale(kept, scale, "estimated")
