"""First step: the AIS maps of one unit of model tiles.

In: a window of the image. Out: the piece ``maps``, three maps of the area that the unit covers.
"""

from __future__ import annotations

import numpy as np

from samzoo.runtime.automatic.maps import mean_maps, oriented_maps
from samzoo.runtime.formats.architecture import AIS_CHANNELS
from samzoo.runtime.formats.arrays import Float3D
from samzoo.runtime.images.intensity import to_0_255
from samzoo.runtime.pixels.reader import Window

from .context import Context
from .plan import cover, overlap, part

STEP = "maps"


def compute_maps(context: Context, index: int) -> None:
    """Encode and decode the tiles of a unit.

    Args:
        context: The context of the work.
        index: The unit's number.

    Raises:
        ImageError: The image cannot be read there.
        StorageError: The disk is full.
    """
    unit, window = context.plan.units[index], context.plan.unit_windows[index]
    outer = cover([tile.outer for tile in unit])
    model = context.model
    pixels = to_0_255(
        context.source.read(outer), model.config.preprocessing, context.limits.stretch
    )
    maps = _empty(window)
    for tile in unit:
        rows, columns = part(tile.inner, window)
        maps[:, rows, columns] = oriented_maps(
            model.networks, model.config, pixels[part(tile.outer, outer)], tile,
            context.job.average,
        )  # fmt: skip
    context.work.write(STEP, index, {"maps": maps})


def read_maps(context: Context, window: Window) -> Float3D:
    """Read the maps of a window, averaged over the placements of the tiles.

    Returns:
        ``(3, height, width)`` float32.
    """
    if context.limits.constant:
        return _empty(window)  # nothing was encoded, so there is no foreground
    placements = range(len(context.plan.placements))
    return mean_maps(_read_placement(context, window, placement) for placement in placements)


def _read_placement(context: Context, window: Window, placement: int) -> Float3D:
    maps = _empty(window)
    for index in context.plan.units_in(window, placement):
        unit = context.plan.unit_windows[index]
        shared = overlap(unit, window)
        assert shared is not None
        rows, columns = part(shared, window)
        stored = context.work.read(STEP, index)["maps"]
        maps[:, rows, columns] = stored[:, *part(shared, unit)]
    return maps


def _empty(window: Window) -> Float3D:
    size = (window[2] - window[0], window[3] - window[1])
    return np.zeros((len(AIS_CHANNELS), *size), np.float32)
