"""Image files of all formats, opened for reading window by window.

In: a ``SourceSpec``. Out: an ``ImageSource``.
"""

from __future__ import annotations

from samzoo.runtime.images.opening import open_reader
from samzoo.runtime.pixels.source_spec import SourceSpec

from .source import ImageSource


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
