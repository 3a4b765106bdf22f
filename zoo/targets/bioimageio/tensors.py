"""The inputs and outputs of the packages: axes, processing, value ranges and test values.

In: a model's config, and arrays. Out: a ``Value`` for each tensor, from which ``description.py``
makes the RDF.

Output sizes refer to the image's, since bioimageio.core joins blocks by these references: of an
axis with a fixed size it keeps the last block alone. For the same reason the batch axis of an
output has no fixed size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.architecture import AIS_CHANNELS
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.intensity import to_0_255
from samzoo.zoo.packages.self_test import picture

POINTS = 8
"""Number of points that the prompt package takes; unused ones have the label -1."""

EPSILON = 1e-12
"""What ``scale_range`` adds to the range: so little that it changes no image (own choice).
bioimageio.core 0.11 adds 1e-6, whatever the description says, and measures the range before all
other operations, so that no factor helps: the documentation tells users of tiny floats."""

Tensor = NDArray[Any]


class Value(NamedTuple):
    """An input or output.

    Attributes:
        name: Its id, and the graph's name for it.
        description: For people, at most 128 characters.
        axes: The spec's axes.
        data: The spec's description of its values.
        test: The value of the package's own test, before preprocessing or after postprocessing.
        processing: The spec's operations, before the network or after it.
    """

    name: str
    description: str
    axes: Sequence[Any]
    data: Any
    test: Tensor
    processing: Sequence[Any] = ()


def spec() -> Any:
    """Import the spec's version 0.5; it is untyped, since its classes convert their arguments."""
    from bioimageio.spec.model import v0_5

    return v0_5


def test_image(side: int) -> NDArray[np.float32]:
    """Return the package's own test picture, repeated, as ``(1, 3, side, side)`` in 0..255."""
    tile = picture()
    repeats = [-(-side // length) for length in tile.shape]
    grey = np.tile(tile, repeats)[:side, :side].astype(np.float32)
    return np.ascontiguousarray(np.stack([grey] * 3)[None])


def fed(image: Tensor, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Bring an image's intensities to 0..255, as the RDF's operations do.

    Args:
        image: ``(1, 3, height, width)``.
        preprocessing: The model's.
    """
    if preprocessing.intensity == "none":
        return np.ascontiguousarray(image, dtype=np.float32)
    stretched = to_0_255(np.moveaxis(image[0], 0, -1), preprocessing)
    return np.ascontiguousarray(np.moveaxis(stretched, -1, 0)[None], dtype=np.float32)


def image_value(
    image: NDArray[np.float32], preprocessing: Preprocessing, *, in_blocks: bool
) -> Value:
    """Describe the image, the input of both packages.

    Args:
        image: The test value, ``(1, 3, side, side)``.
        preprocessing: The model's.
        in_blocks: Whether a larger image can be cut into blocks.
    """
    v0_5 = spec()
    stretched = preprocessing.intensity != "none"
    side = image.shape[-1]
    axes = [
        v0_5.BatchAxis(size=1),
        v0_5.ChannelAxis(channel_names=["red", "green", "blue"]),
        v0_5.SpaceInputAxis(id="y", size=side, concatenable=in_blocks),
        v0_5.SpaceInputAxis(id="x", size=side, concatenable=in_blocks),
    ]
    values = "Any intensities, 8 or 16 bits or floats" if stretched else "8-bit intensities, 0..255"
    data = v0_5.IntervalOrRatioDataDescr(
        type="float32", range=(None, None) if stretched else (0.0, 255.0)
    )
    text = f"RGB; repeat a grey image three times. {values}."
    return Value("image", text, axes, data, image, stretching(preprocessing))


def stretching(preprocessing: Preprocessing) -> list[Any]:
    """Return the operations that stretch an image's intensities to 0..255.

    They take all pixels and channels of one image together, before it is cut into blocks. Where
    both percentiles are equal, larger values become 255, as in samzoo.
    """
    if preprocessing.intensity == "none":
        return []
    v0_5 = spec()
    whole = preprocessing.intensity == "min_max"
    low, high = (0.0, 100.0) if whole else preprocessing.percentiles
    scale_range = v0_5.ScaleRangeKwargs(
        axes=["channel", "y", "x"], min_percentile=low, max_percentile=high, eps=EPSILON
    )
    return [
        v0_5.ScaleRangeDescr(kwargs=scale_range),
        v0_5.ClipDescr(kwargs=v0_5.ClipKwargs(min=0.0, max=1.0)),
        v0_5.ScaleLinearDescr(kwargs=v0_5.ScaleLinearKwargs(gain=255.0)),
    ]


def prompt_values(side: int, mask_side: int) -> list[Value]:
    """Describe the inputs for one object's prompts.

    The test values include a mask input, since the spec allows no test value of zeros alone. Users
    without a mask input give zeros.
    """
    v0_5 = spec()
    coords = np.zeros((1, POINTS, 2), np.float32)
    labels = np.full((1, POINTS), -1, np.float32)
    coords[0, 0], labels[0, 0] = (side * 0.3, side * 0.3), 1
    points = v0_5.IndexInputAxis(size=POINTS)
    y, x = np.mgrid[:mask_side, :mask_side]
    inside = (y - 0.3 * mask_side) ** 2 + (x - 0.3 * mask_side) ** 2 < (0.1 * mask_side) ** 2
    logits = np.where(inside, 4.0, -4.0).astype(np.float32)
    return [
        Value(
            "point_coords", "(x, y) in image pixels; zeros where the label is -1",
            [v0_5.BatchAxis(size=1), points, v0_5.ChannelAxis(channel_names=["x", "y"])],
            _numbers(0.0, float(side)), coords,
        ),
        Value(
            "point_labels",
            "1 object, 0 background, -1 no point, 2 and 3 a box's upper left and lower right",
            [v0_5.BatchAxis(size=1), points], _numbers(-1.0, 3.0), labels,
        ),
        Value(
            "mask_input", "low_res_masks of an earlier call, or zeros",
            [
                v0_5.BatchAxis(size=1), v0_5.ChannelAxis(channel_names=["logits"]),
                v0_5.SpaceInputAxis(id="y", size=mask_side),
                v0_5.SpaceInputAxis(id="x", size=mask_side),
            ],
            _numbers(), logits[None, None],
        ),
        Value(
            "has_mask_input", "1 where mask_input counts, else 0", [v0_5.BatchAxis(size=1)],
            _numbers(0.0, 1.0), np.ones(1, np.float32),
        ),
    ]  # fmt: skip


def ais_values(found: Sequence[Tensor]) -> list[Value]:
    """Describe the three AIS maps, in the order that the spec's coming operation takes."""
    text = (
        "Foreground; distance to the object's centre, 0 at it; inverted distance to its boundary, "
        "1 at it. Labels: config.samzoo."
    )
    axes = _as_large_as("image", AIS_CHANNELS)
    return [Value("ais_maps", text, axes, _numbers(0.0, 1.0), found[0])]


def mask_values(found: Sequence[Tensor]) -> list[Value]:
    """Describe the mask, its estimated IoU, and the logits that a correction uses."""
    v0_5 = spec()
    masks, iou, low_res = found
    scores = [v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=["iou"])]
    return [
        Value(
            "masks", "The object: 1 inside it, 0 elsewhere", _as_large_as("image", ["mask"]),
            v0_5.NominalOrOrdinalDataDescr(type="uint8", values=[0, 1]),
            (masks > 0).astype(np.uint8),
            [
                v0_5.BinarizeDescr(kwargs=v0_5.BinarizeKwargs(threshold=0.0)),
                v0_5.EnsureDtypeDescr(kwargs=v0_5.EnsureDtypeKwargs(dtype="uint8")),
            ],
        ),
        Value("iou_predictions", "The model's estimate of the mask's IoU", scores, _numbers(), iou),
        Value("low_res_masks", "Logits for mask_input of a correction",
              _as_large_as("mask_input", ["logits"]), _numbers(), low_res),
    ]  # fmt: skip


def _numbers(low: float | None = None, high: float | None = None) -> Any:
    return spec().IntervalOrRatioDataDescr(type="float32", range=(low, high))


def _as_large_as(tensor: str, channels: Sequence[str]) -> list[Any]:
    v0_5 = spec()
    return [
        v0_5.BatchAxis(),
        v0_5.ChannelAxis(channel_names=list(channels)),
        *(
            v0_5.SpaceOutputAxis(id=axis, size=v0_5.SizeReference(tensor_id=tensor, axis_id=axis))
            for axis in ("y", "x")
        ),
    ]
