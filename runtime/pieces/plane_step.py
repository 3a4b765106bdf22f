"""The one step of a stack, which segments a plane as an image of its own.

In: a plane's number. Out: the piece ``planes``.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing

from samzoo.runtime.windows.opening import open_source

from .context import Context
from .work import Arrays

STEP = "planes"


def compute_plane(context: Context, index: int) -> None:
    """Segment one plane; the piece ``planes`` holds its ``labels``."""
    job = context.job
    with closing(open_source(dataclasses.replace(job.source, plane=index))) as source:
        image = source.read((0, 0, *source.size))
    labels = context.model.segment(
        image, tile_shape=job.tile_shape, halo=job.halo, placements=job.placements,
        average=job.average, parameters=job.ais,
    )  # fmt: skip
    arrays: Arrays = {"labels": labels}
    context.work.write(STEP, index, arrays, compressed=True)
