"""Prompts as a user gives them, checked and turned into tokens for each object.

In: points, labels, boxes and mask inputs. Out: ``Prompt`` objects in image pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.formats.arrays import Float3D, Points
from samzoo.runtime.images.geometry import Size

PADDING, NEGATIVE, POSITIVE, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT = -1, 0, 1, 2, 3
"""Point labels. Source: segment-anything, ``modeling/prompt_encoder.py`` and ``utils/onnx.py``."""


@dataclass(frozen=True)
class Prompt:
    """All prompts of one object, in pixels of the original image.

    Attributes:
        coords: ``(k, 2)`` float32 (x, y); a box is two rows at the end.
        labels: ``(k,)`` float32: 1 object, 0 background, 2 and 3 the corners of a box.
        mask_input: Earlier ``low_res_logits`` ``(1, 4 * grid, 4 * grid)``, or None.
    """

    coords: Points
    labels: NDArray[np.float32]
    mask_input: Float3D | None = None

    @property
    def has_box(self) -> bool:
        """Tell whether one of the tokens is a box corner."""
        return bool((self.labels >= BOX_TOP_LEFT).any())

    @property
    def anchor(self) -> tuple[float, float]:
        """The (x, y) that decides which tile decodes the object.

        It is the middle of the box, else the first point on the object, else the first point. It
        does not move when points are added, so that an earlier mask input keeps its tile.
        """
        if self.has_box:
            x, y = self.coords[-2:].mean(axis=0)
        else:
            positive = np.flatnonzero(self.labels == POSITIVE)
            x, y = self.coords[positive[0] if len(positive) else 0]
        return float(x), float(y)


def collect_prompts(
    *,
    points: ArrayLike | None,
    point_labels: ArrayLike | None,
    boxes: ArrayLike | None,
    mask_input: ArrayLike | None,
    image_size: Size,
    mask_side: int,
) -> list[Prompt]:
    """Check the prompts of a call and make one ``Prompt`` for each object.

    Args:
        points: ``(n, k, 2)``, or ``(k, 2)`` for one object; (x, y) in image pixels.
        point_labels: ``(n, k)`` or ``(k,)``; 1 object, 0 background, -1 no point (padding).
        boxes: ``(n, 4)`` or ``(4,)`` XYXY.
        mask_input: ``(n, 1, side, side)`` or ``(1, side, side)`` logits.
        image_size: (height, width) of the image.
        mask_side: Side of the model's ``low_res_logits``.

    Returns:
        One prompt for each object, in the order given.

    Raises:
        ShapeError: A shape is wrong or the numbers of objects differ.
        InputError: A value is not finite, a point or box lies outside the image, a label is
            unknown, a box is reversed, or an object has no prompt.
    """
    point_array = _array(points, "points", (3, 2), singular=2)
    label_array = _array(point_labels, "point_labels", (2, None), singular=1)
    box_array = _array(boxes, "boxes", (2, 4), singular=1)
    mask_array = _array(mask_input, "mask_input", (4, mask_side), singular=3)
    if (point_array is None) != (label_array is None):
        raise InputError("points and point_labels belong together; pass both or none")
    if point_array is None and box_array is None:
        raise InputError("no prompt: pass points with point_labels, boxes, or both")
    if point_array is not None and label_array is not None:
        if point_array.shape[:2] != label_array.shape:
            raise ShapeError(
                f"point_labels must have shape {point_array.shape[:2]} to match points, "
                f"got {label_array.shape}"
            )
        _check_points(point_array, label_array, image_size)
    if box_array is not None:
        _check_boxes(box_array, image_size)
    counts = {
        name: len(value)
        for name, value in (
            ("points", point_array), ("boxes", box_array), ("mask_input", mask_array),
        )
        if value is not None
    }  # fmt: skip
    if len(set(counts.values())) != 1:
        raise ShapeError(f"the numbers of objects differ: {counts}; pass one row an object")
    return [
        _one_prompt(index, point_array, label_array, box_array, mask_array)
        for index in range(next(iter(counts.values())))
    ]


def _one_prompt(
    index: int,
    points: NDArray[np.float32] | None,
    labels: NDArray[np.float32] | None,
    boxes: NDArray[np.float32] | None,
    masks: NDArray[np.float32] | None,
) -> Prompt:
    coords = np.zeros((0, 2), np.float32)
    tokens = np.zeros(0, np.float32)
    if points is not None and labels is not None:
        used = labels[index] != PADDING
        coords, tokens = points[index][used], labels[index][used]
    if boxes is not None:
        coords = np.concatenate([coords, boxes[index].reshape(2, 2)])
        tokens = np.concatenate([tokens, np.array([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT], np.float32)])
    if len(tokens) == 0:
        raise InputError(f"object {index} has no prompt: all its point_labels are {PADDING}")
    return Prompt(coords, tokens, None if masks is None else masks[index])


def _array(
    value: ArrayLike | None, name: str, expected: tuple[int, int | None], *, singular: int
) -> NDArray[np.float32] | None:
    """Convert to float32 with an object axis; ``expected`` is (number of axes, last length)."""
    if value is None:
        return None
    try:
        array: NDArray[Any] = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{name}: rows differ in length; pad with point label -1") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must be numbers, got dtype {array.dtype}")
    with np.errstate(over="ignore"):  # becomes infinite and is refused below
        array = array.astype(np.float32)
    if array.ndim == singular:
        array = array[None]
    axes, last = expected
    if array.ndim != axes or (last is not None and array.shape[-1] != last):
        shapes = {
            "points": "(n, k, 2)", "point_labels": "(n, k)", "boxes": "(n, 4)",
            "mask_input": f"(n, 1, {last}, {last})",
        }  # fmt: skip
        raise ShapeError(f"{name} must have shape {shapes[name]}, got {np.shape(value)}")
    if name == "mask_input" and array.shape[1:] != (1, last, last):
        raise ShapeError(f"{name} must have shape (n, 1, {last}, {last}), got {np.shape(value)}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds NaN or infinite values")
    return array


def _check_points(
    points: NDArray[np.float32], labels: NDArray[np.float32], image_size: Size
) -> None:
    known = (PADDING, NEGATIVE, POSITIVE)
    wrong = labels[~np.isin(labels, known)]
    if len(wrong):
        raise InputError(
            f"point_labels holds {wrong[0]:g}; allowed are 1 (object), 0 (background), -1 (padding)"
        )
    height, width = image_size
    x, y = points[..., 0], points[..., 1]
    outside = ((x < 0) | (y < 0) | (x > width) | (y > height)) & (labels != PADDING)
    if outside.any():
        found = points[outside][0]
        raise InputError(
            f"point ({found[0]:g}, {found[1]:g}) lies outside the image of width {width} and "
            f"height {height}; points are (x, y)"
        )


def _check_boxes(boxes: NDArray[np.float32], image_size: Size) -> None:
    height, width = image_size
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        if not (x0 < x1 and y0 < y1):
            raise InputError(
                f"box {index} is [{x0:g}, {y0:g}, {x1:g}, {y1:g}]; "
                "expected x0 < x1 and y0 < y1 (XYXY)"
            )
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise InputError(
                f"box {index} is [{x0:g}, {y0:g}, {x1:g}, {y1:g}] and lies outside the image of "
                f"width {width} and height {height}"
            )
