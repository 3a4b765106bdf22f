"""A trial of graphs: the ONNX files that were written, fed as a tool feeds them.

In: the files of a target, and an image with points. Out: the masks that the tool shows.

Sources: those of the targets' own modules; AnyLabeling's canvas is that of
``services/auto_labeling/segment_anything.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.formats.arrays import Masks
from samzoo.runtime.formats.config import SAM_PIXEL_MEAN, SAM_PIXEL_STD
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.images.geometry import interpolate
from samzoo.zoo.checkpoints.tools.differences import ToolPath

from .examples import Size

SIDE = 1024
"""Longest side of the image that every tool feeds."""

ENCODERS = ("encoder.onnx", "function/encoder.onnx", "onnx/vision_encoder.onnx")
DECODERS = ("decoder.onnx", "onnx/prompt_encoder_mask_decoder.onnx")


class GraphTrial:
    """A target's encoder and decoder in onnxruntime.

    Attributes:
        key: Equal for trials with equal answers.
    """

    def __init__(
        self, folder: Path, path: ToolPath, embeddings: dict[str, list[Any]] | None = None
    ) -> None:
        """Find the files; they are opened when an image comes.

        Args:
            folder: The target's folder.
            path: What the tool does with an image.
            embeddings: Of other trials, by encoder and image; several targets have the same encoder
                but another decoder.
        """
        self._embeddings = {} if embeddings is None else embeddings
        self._encoder, self._decoder = (
            next(folder / name for name in names if (folder / name).is_file())
            for names in (ENCODERS, DECODERS)
        )
        self._canvas = path.canvas
        self._encoder_key = f"{sha256_of(self._encoder)} {path.canvas}"
        self.key = f"{self._encoder_key} {sha256_of(self._decoder)}"

    def masks(self, image: NDArray[np.uint8], points: NDArray[np.float32]) -> Masks:
        """Return the tool's mask for each point.

        Args:
            image: ``(height, width)`` grey.
            points: ``(n, 2)`` (x, y).

        Returns:
            ``(n, height, width)``.
        """
        height, width = image.shape
        if self._canvas is None:
            factor = SIDE / max(height, width)
            shown = _resized(image, factor)
        else:
            factor = min(self._canvas[0] / height, self._canvas[1] / width)
            inside = _resized(image, factor)
            shown = np.zeros(self._canvas, np.float32)
            shown[: inside.shape[0], : inside.shape[1]] = inside[: self._canvas[0]]
        values = self._encoded(shown)
        decoder = _session(self._decoder)
        size = (height, width) if self._canvas is None else self._canvas
        masks = [_decoded(decoder, values, point * factor, size) for point in points]
        if self._canvas is not None:
            masks = [from_canvas(mask, (height, width), factor) for mask in masks]
        return np.stack(masks)

    def _encoded(self, shown: NDArray[np.float32]) -> list[Any]:
        key = f"{self._encoder_key} {hashlib.sha256(shown.tobytes()).hexdigest()}"
        if key not in self._embeddings:
            session = _session(self._encoder)
            fed = {session.get_inputs()[0].name: _fed(session, shown)}
            # Copies, since an output of onnxruntime keeps all memory of its session: 0.9 GB
            # for each encoder of a ViT-B.
            self._embeddings[key] = [np.array(value) for value in session.run(None, fed)]
        return self._embeddings[key]


def from_canvas(mask: NDArray[np.bool_], size: Size, factor: float) -> NDArray[np.bool_]:
    """Bring a mask from a tool's canvas to the image.

    Args:
        mask: ``(height, width)`` of the canvas; the image lies in its upper left.
        size: (height, width) of the image.
        factor: Canvas pixels in an image pixel.

    Returns:
        ``size``; a pixel belongs to the mask if most of its area does.
    """
    height, width = size
    inside = (0, 0, min(width * factor, mask.shape[1]), min(height * factor, mask.shape[0]))
    found = Image.fromarray(mask.astype(np.float32)).resize(
        (width, height), Image.Resampling.BOX, inside
    )
    result: NDArray[np.bool_] = np.asarray(found) > 0.5
    return result


def _resized(image: NDArray[np.uint8], factor: float) -> NDArray[np.float32]:
    height, width = (int(side * factor + 0.5) for side in image.shape)
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32)


def _session(path: Path) -> Any:
    onnxruntime = import_onnxruntime()
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _fed(session: Any, shown: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring an image to what the encoder takes: RGB in 0..255, or normalised and padded."""
    image = np.repeat(shown[..., None], 3, axis=2)
    if len(session.get_inputs()[0].shape) == 3:
        return image
    fed = np.zeros((1, 3, SIDE, SIDE), np.float32)
    normal = (image - np.array(SAM_PIXEL_MEAN)) / np.array(SAM_PIXEL_STD)
    fed[0, :, : shown.shape[0], : shown.shape[1]] = normal.transpose(2, 0, 1)
    return fed


def _decoded(
    decoder: Any, values: list[NDArray[np.float32]], point: NDArray[np.float32], size: Any
) -> NDArray[np.bool_]:
    """Decode one point in pixels of the shown image; returns the mask at ``size``."""
    if "input_points" in {value.name for value in decoder.get_inputs()}:
        return _best_of_three(decoder, values, point, size)
    grid = values[0].shape[-1]
    found = dict(
        zip(
            [value.name for value in decoder.get_outputs()],
            decoder.run(
                None,
                {
                    "image_embeddings": values[0],
                    "point_coords": np.array([[point, (0, 0)]], np.float32),
                    "point_labels": np.array([[1, -1]], np.float32),
                    "mask_input": np.zeros((1, 1, 4 * grid, 4 * grid), np.float32),
                    "has_mask_input": np.zeros(1, np.float32),
                    "orig_im_size": np.array(size, np.float32),
                },
            ),
            strict=True,
        )
    )
    mask: NDArray[np.bool_] = found["masks"][0, 0] > 0
    if "xtl" not in found:
        return mask
    return _uncropped(mask, found, size)


def _uncropped(mask: NDArray[np.bool_], found: Mapping[str, Any], size: Any) -> NDArray[np.bool_]:
    whole = np.zeros(size, np.bool_)
    top, left = int(found["ytl"]), int(found["xtl"])
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return whole


def _best_of_three(
    decoder: Any, values: list[NDArray[np.float32]], point: NDArray[np.float32], size: Any
) -> NDArray[np.bool_]:
    """Decode as transformers.js, and take the mask with the best predicted IoU."""
    iou, logits = decoder.run(
        None,
        {
            "input_points": np.array([[[point]]], np.float32),
            "input_labels": np.ones((1, 1, 1), np.int64),
            "image_embeddings": values[0],
            "image_positional_embeddings": values[1],
        },
    )
    best = logits[0, 0, int(iou[0, 0].argmax())]
    factor = SIDE / max(size)
    kept = [int(side * factor + 0.5) for side in size]
    whole = interpolate(best[None], (SIDE, SIDE))[:, : kept[0], : kept[1]]
    mask: NDArray[np.bool_] = interpolate(np.ascontiguousarray(whole), size)[0] > 0
    return mask
