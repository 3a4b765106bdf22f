"""What the page draws: the image as a PNG, labels as numbers, and a mask as bits.

In: pixels, labels and masks. Out: bytes that a browser reads.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.images.overlay import draw_overlay, visible
from samzoo.runtime.pixels.reader import Window
from samzoo.zoo.annotation.sight import Candidate


def image_png(image: Array) -> bytes:
    """Return an image as a PNG, stretched for the eye as overlays are."""
    return _png(np.round(visible(image)).astype(np.uint8))


def overlay_png(image: Array, labels: Labels2D) -> bytes:
    """Return an image with its labels drawn on it as a PNG; see ``draw_overlay``."""
    return _png(draw_overlay(image, labels))


def _png(picture: Array) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, format="PNG", compress_level=1)
    return data.getvalue()


def label_bytes(labels: Labels2D, window: Window | None = None) -> bytes:
    """Return labels, or a window of them, as little-endian int32, row by row."""
    y0, x0, y1, x1 = window or (0, 0, *labels.shape)
    return np.ascontiguousarray(labels[y0:y1, x0:x1], "<i4").tobytes()


def candidate_json(candidate: Candidate | None) -> dict[str, Any] | None:
    """Return a mask as its place, size, score and bits (the first pixel is the highest bit)."""
    if candidate is None:
        return None
    row, column, mask = candidate.part
    return {
        "row": row, "column": column, "height": mask.shape[0], "width": mask.shape[1],
        "pixels": candidate.pixels, "score": round(candidate.score, 3),
        "bits": base64.b64encode(np.packbits(mask).tobytes()).decode(),
    }  # fmt: skip
