"""Image files of all formats, opened for reading window by window.

In: a ``SourceSpec``. Out: an ``ImageSource``.
"""

from __future__ import annotations

import dataclasses

from samzoo.runtime.images.empty_channels import note_on, only_channel
from samzoo.runtime.images.opening import open_reader
from samzoo.runtime.pixels.channels import COLOURS
from samzoo.runtime.pixels.source_spec import SourceSpec

from .source import ImageSource


def open_full_channels(spec: SourceSpec) -> tuple[SourceSpec, ImageSource]:
    """Open one plane of an image; of RGB the only channel that is not empty, if there is one.

    Args:
        spec: The plane to open. Without a choice of channel a picture in colours is read once as a
            whole, to see which channels are empty.

    Returns:
        The choice with that channel, and the source, whose notes name it.

    Raises:
        SamzooError: As ``open_reader``.
    """
    source = open_source(spec)
    if source.channels == 1:
        return spec, source
    channel = only_channel(window for _, _, window in source.windows())
    if channel is None:
        return spec, source
    source.close()
    spec = dataclasses.replace(spec, channel=COLOURS[channel])
    source = open_source(spec)
    source.notes.append(f"{spec.path}: {note_on(channel)}")
    return spec, source


def open_source(spec: SourceSpec) -> ImageSource:
    """Open one plane of an image.

    Args:
        spec: The plane to open.

    Returns:
        The source. Only TIFF and Zarr are read in parts, other files are decoded as a whole.

    Raises:
        SamzooError: As ``open_reader``.
    """
    return ImageSource(open_reader(spec), spec.path)
