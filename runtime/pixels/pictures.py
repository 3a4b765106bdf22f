"""PNG, JPEG, BMP, GIF and WebP files decoded into arrays, with what they say of their pixels.

In: a ``SourceSpec`` of such a file. Out: a reader of its picture, or of one frame of an animation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.formats.arrays import Array

from .decoders import check_budget, decoding, first_bytes
from .deep_png import decode_deep, depth_and_colour
from .jpeg_frames import refuse_unusual_jpeg
from .orientation import TAG, orientation_of
from .reader import ArrayReader
from .source_spec import SourceSpec
from .transparency import AlphaCheck

_GREY_MODES = ("1", "L", "I", "F")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")


def picture_reader(spec: SourceSpec, kind: str, *, as_labels: bool = False) -> ArrayReader:
    """Decode a picture.

    Args:
        spec: The file, and the frame of an animation as its plane.
        kind: The file's kind, for messages.
        as_labels: Keep numbers as they are stored: a palette's indices, and grey values of fewer
            than eight bits.

    Returns:
        A reader of ``(height, width)`` grey or ``(height, width, 3)`` RGB: boolean for one bit,
        uint16 for 16 bits, else uint8.

    Raises:
        ImageError: The file is damaged, has too many pixels, is partly transparent, or is an
            animation and no frame is chosen.
        InputError: The file has no such level, series or plane.
    """
    path = Path(spec.path)
    _check_choice(spec, kind)
    if kind == "JPEG":
        refuse_unusual_jpeg(path)
    with decoding(spec.path, kind), Image.open(path) as image:
        check_budget(path, image.height, image.width)
        # The pictures after a camera's first (MPO) are previews and depth maps, not frames.
        frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
        _choose_frame(spec, image, frames)
        orientation = orientation_of(image.getexif().get(TAG))
        depth, colour = depth_and_colour(first_bytes(path)) if kind == "PNG" else (8, None)
        if depth == 16 and colour != 0:
            if frames > 1:
                raise ImageError(
                    f"{path}: is an animation of 16 bits a sample; save its frames as a TIFF"
                )
            pixels = _without_alpha(decode_deep(path.read_bytes()), str(path))
        else:
            pixels = _plain(image, str(path), keep_indices=as_labels)
            if as_labels and kind == "PNG" and colour == 0 and depth in (2, 4):
                pixels = pixels // (255 // (2**depth - 1))  # Pillow spreads them over 0..255
        notes = []
        if image.mode == "CMYK":
            notes.append(
                "the picture has printing colours (CMYK); they were converted to RGB without a "
                "colour profile"
            )
    planes = (frames,) if frames > 1 else ()
    return ArrayReader(pixels, notes=notes, planes=planes, orientation=orientation)


def _check_choice(spec: SourceSpec, kind: str) -> None:
    for name in ("level", "series"):
        if getattr(spec, name):
            raise InputError(
                f"{spec.path}: --{name}: found {getattr(spec, name)}, a {kind} file holds one "
                f"image, number 0; omit --{name}"
            )


def _choose_frame(spec: SourceSpec, image: Image.Image, frames: int) -> None:
    if spec.plane is None and frames > 1:
        raise ImageError(
            f"{spec.path}: is an animation of {frames} frames; choose one with --plane, from 0 to "
            f"{frames - 1} (samzoo segment takes all with --stack frames)"
        )
    if spec.plane is not None and not 0 <= spec.plane < frames:
        raise InputError(
            f"{spec.path}: --plane: plane {spec.plane} does not exist, the file has {frames}: 0 to "
            f"{frames - 1}"
        )
    if frames > 1:
        image.seek(spec.plane or 0)


def _plain(image: Image.Image, where: str, *, keep_indices: bool) -> Array:
    if image.mode == "P" and keep_indices:
        return np.array(image)
    if image.has_transparency_data and image.mode not in _ALPHA_MODES:
        if image.mode.startswith("I;16"):
            return _marked(np.array(image), image.info["transparency"], where)
        image = image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    if image.mode in _GREY_MODES or image.mode.startswith("I;16"):
        return np.array(image)
    if image.mode in ("LA", "La"):
        return _without_alpha(np.array(image.convert("LA")), where)
    if image.mode in _ALPHA_MODES:
        return _without_alpha(np.array(image.convert("RGBA")), where)
    return np.array(image.convert("RGB"))


def _marked(pixels: Array, transparent: Any, where: str) -> Array:
    """Check a grey picture of which one value means transparent."""
    AlphaCheck(where)(pixels == transparent)
    return pixels


def _without_alpha(pixels: Array, where: str) -> Array:
    """Drop the alpha of ``(height, width, samples)``; grey comes out in two axes."""
    samples = pixels.shape[2]
    if samples in (2, 4):
        AlphaCheck(where)(pixels[..., -1])
    return pixels[..., 0] if samples in (1, 2) else pixels[..., :3]
