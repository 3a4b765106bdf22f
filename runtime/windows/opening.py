"""Image files of all formats, opened for reading window by window.

In: a ``SourceSpec``. Out: an ``ImageSource``.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing

from samzoo.runtime.images.empty_channels import EMPTY, ChannelLook, note_on, only_channel
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


def full_channel_of_stack(spec: SourceSpec, planes: int) -> tuple[SourceSpec, list[str]]:
    """Choose the channel of a stack in colours once, for all its planes.

    Each plane on its own may hold something in one channel only, and not all in the same one.

    Args:
        spec: The file; its plane is not used.
        planes: Number of planes. Those of a stack in colours are read once.

    Returns:
        The choice, with the only channel that is not empty in all planes together, if there is one;
        and a note on it, or on planes that are read as grey beside others in colours.

    Raises:
        SamzooError: As ``open_reader``.
    """
    with closing(open_source(dataclasses.replace(spec, plane=0))) as source:
        if source.channels == 1:
            return spec, []
    together, single = ChannelLook(), 0
    for plane in range(planes):
        look = ChannelLook()
        with closing(open_source(dataclasses.replace(spec, plane=plane))) as source:
            for _, _, window in source.windows():
                together.add(window)
                look.add(window)
        single += look.outstanding(EMPTY) is not None
    channel = together.outstanding(EMPTY)
    if channel is not None:
        return dataclasses.replace(spec, channel=COLOURS[channel]), [note_on(channel)]
    if not single:
        return spec, []
    return spec, [
        f"in {single} of {planes} planes only one channel holds anything, and not in the others; "
        "those were read as grey, each in its own channel: choose the channel of all planes with "
        "--channel"
    ]


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
