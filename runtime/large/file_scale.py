"""The scale at which a model sees an image file of any size, for prompts and stores.

In: a model, a file and the caller's diameter. Out: an ``ObjectScale``.
"""

from __future__ import annotations

from contextlib import closing

from samzoo.runtime.automatic.sizing import (
    estimated_scale,
    require_size,
    stated_scale,
    unsure_scale,
)
from samzoo.runtime.engine.object_scale import Diameter, ObjectScale
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.limits import image_limits
from samzoo.runtime.windows.opening import open_full_channels


def scale_of_file(
    model: Model, spec: SourceSpec, diameter: Diameter, progress: Progress | None = None
) -> ObjectScale:
    """Choose the scale at which a model sees one plane of a file, which is read in windows.

    Args:
        model: The model.
        spec: The plane.
        diameter: A number of image pixels, ``auto``, or ``own`` or None for the model's own scale.
        progress: Called with ("size", tiles done, 0) by ``auto``.

    Returns:
        The scale, as ``Model.object_scale`` finds it in the whole image.

    Raises:
        SamzooError: The file cannot be read, or the diameter cannot be used.
    """
    if diameter == "auto":
        require_size(model.config)
    _, opened = open_full_channels(spec)
    with closing(opened) as source:
        if diameter != "auto":
            return stated_scale(model.config, source.size, diameter)
        limits = image_limits(source, model.config.preprocessing)
        if limits.constant:
            return unsure_scale(model.config, source.size)
        found = limits.stretch
        return estimated_scale(model.networks, model.config, source, found, progress)
