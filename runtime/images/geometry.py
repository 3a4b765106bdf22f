"""Sizes, resizing and coordinates between an image and the encoder's input.

In: images, labels or maps, and sizes. Out: the same at another size. The runtime and training
share these functions, so that both see the same pixels. Axes are (height, width); coordinates are
(x, y).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from samzoo.runtime.errors import ShapeError
from samzoo.runtime.formats.arrays import Array, Float3D, Labels2D

Size = tuple[int, int]
"""(height, width) in pixels."""


def input_size(original_size: Size, image_size: int, scale: float | None) -> Size:
    """Return the size after resizing and before padding.

    Args:
        original_size: (height, width) of the image or tile.
        image_size: Side of the square that the encoder sees.
        scale: Model pixels per image pixel; None brings the longest side to ``image_size``.

    Returns:
        (height, width), each between 1 and ``image_size``.

    Raises:
        ShapeError: The image does not fit into the square at a fixed ``scale``.

    Source:
        Rounds as segment-anything, ``utils/transforms.py``.

    >>> input_size((300, 450), 1024, None)
    (683, 1024)
    >>> input_size((100, 128), 256, 2.0)
    (200, 256)
    """
    factor = image_size / max(original_size) if scale is None else scale
    height, width = (max(1, int(side * factor + 0.5)) for side in original_size)
    if max(height, width) > image_size:
        raise ShapeError(
            f"an image of {original_size[0]} x {original_size[1]} pixels at scale {factor} does "
            f"not fit the model's {image_size} pixels; segment it in tiles"
        )
    return height, width


def field_of_view(image_size: int, scale: float | None) -> int:
    """Return the side, in image pixels, of the square that the encoder sees at once.

    >>> field_of_view(256, 2.0)
    128
    """
    return image_size if scale is None else int(image_size / scale)


def resize_image(image: Array, size: Size) -> Array:
    """Resize an image as segment-anything does (Pillow, bilinear, antialiased when shrinking).

    Args:
        image: ``(height, width, 3)`` uint8 or float32 in 0..255.
        size: (height, width) to bring it to.

    Returns:
        ``(*size, 3)`` in the image's dtype; uint8 is rounded, float32 is not.

    Source:
        segment-anything, ``ResizeLongestSide.apply_image``.
    """
    if image.shape[:2] == size:
        return image
    height, width = size
    if image.dtype == np.uint8:
        picture = Image.fromarray(np.ascontiguousarray(image))
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., c], dtype=np.float32)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for c in range(image.shape[2])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def resize_labels(labels: Labels2D, size: Size) -> Labels2D:
    """Resize labels by nearest neighbours, which makes no new labels.

    Args:
        labels: ``(height, width)`` int32.
        size: (height, width) to bring it to.
    """
    if labels.shape == size:
        return labels
    picture = Image.fromarray(np.ascontiguousarray(labels, dtype=np.int32))
    resized = picture.resize((size[1], size[0]), Image.Resampling.NEAREST)
    return np.asarray(resized, dtype=np.int32)


def interpolate(maps: Float3D, size: Size) -> Float3D:
    """Interpolate maps bilinearly, without antialiasing, with pixel centres at half coordinates.

    Args:
        maps: ``(channels, height, width)`` float32.
        size: (height, width) to bring them to.

    Returns:
        ``(channels, *size)`` float32.

    Source:
        Equals torch's ``interpolate(mode="bilinear", align_corners=False)``, which
        segment-anything and micro-sam use on masks and maps.
    """
    for axis, length in ((1, size[0]), (2, size[1])):
        if maps.shape[axis] != length:
            maps = _interpolate_axis(maps, axis, length)
    return maps


def _interpolate_axis(maps: Float3D, axis: int, length: int) -> Float3D:
    old = maps.shape[axis]
    position = (np.arange(length, dtype=np.float64) + 0.5) * (old / length) - 0.5
    position = np.clip(position, 0, old - 1)
    low = np.floor(position).astype(np.intp)
    high = np.minimum(low + 1, old - 1)
    weight = (position - low).astype(np.float32)
    weight = weight[:, None] if axis == 1 else weight
    lower, upper = np.take(maps, low, axis), np.take(maps, high, axis)
    result: Float3D = lower + (upper - lower) * weight
    return result
