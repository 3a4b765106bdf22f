"""Doubts about a result: signs that an image is of another kind than those that a model knows.

In: an image, its labels and the model's foreground map, and what the model was trained on. Out:
sentences for the user, none where nothing is odd. Training uses the same measures to note what a
model was trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.engine.object_scale import model_pixels, trained_diameter
from samzoo.runtime.formats.arrays import Array, Float2D, Labels2D
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.intensity import is_constant
from samzoo.runtime.images.label_arrays import median_object_diameter, object_areas

from .value_range import FEW_VALUES, STRIDE, left_out, range_doubts

BRIGHT = 0.4
"""Median intensity, between the image's 0.1 and 99.9 percentiles, above which a background is
bright. Measured on DSB 2018 and GALA: at most 0.19 in 357 images of fluorescence, at least 0.50 in
100 of histology, 0.56 in 69 of electron microscopy."""

COLOURED = 0.05
"""Mean difference between a pixel's largest and smallest channel, as a share of the image's range,
above which an image has colours. Measured on DSB 2018: at least 0.059 in 100 images of histology, 0
in grey images that are stored as RGB; a JPEG of a grey image stays below 0.02."""

SATURATED = 0.03
"""Share of pixels at the highest value that a camera can give, above which an image is saturated.
Measured on DSB 2018: at most 0.010 in 357 images of fluorescence."""

CAMERA_MAXIMA: Mapping[str, tuple[int, ...]] = {
    "uint8": (255,),
    "uint16": (1023, 4095, 16383, 65535),
}
"""Highest values of cameras with 8, 10, 12, 14 and 16 bits."""

FOREGROUND = 0.5
"""Probability above which a pixel counts as foreground."""

SOME_FOREGROUND = 0.01
"""Share of foreground below which an image may just be empty (own choice: an object or two)."""

WITHOUT_OBJECTS = 0.4
"""Share of the foreground in objects below which the model is undecided. Measured with
nuclei-vit-t: no good result (Dice above 0.7) of 51 images of fluorescence lies below it."""

OTHER_SIZE = 2.0
"""Ratio to the diameter of the training objects from which objects have another size. Measured with
nuclei-vit-t: 51 images of fluorescence have ratios of 0.5 to 1.8."""

LOW_IOU = 0.5
"""Predicted IoU below which a mask is likely wrong (own choice: the usual threshold of a match)."""

NO_OBJECT = "no object was found; look at the image, and check that the model is for such ones"

Background = Literal["dark", "bright"]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a model was trained on.

    Attributes:
        background: Whether most of the image is dark or bright; None if both kinds occur.
        colour: Whether any image has colours.
        object_diameter: Median diameter of the objects in model pixels, as circles of their area; 0
            if it is not known.
    """

    background: Background | None
    colour: bool
    object_diameter: float


def known_of(config: ModelConfig) -> Known | None:
    """Read what a model was trained on; None if its config does not say."""
    found = config.training_images
    if not found:
        return None
    background, diameter = found.get("background"), found.get("object_diameter")
    return Known(
        background=background if background in ("dark", "bright") else None,
        colour=found.get("colour") is not False,
        object_diameter=float(diameter) if isinstance(diameter, int | float) else 0.0,
    )


def describe_training(images: Iterable[Array], *, object_diameter: float) -> dict[str, Any]:
    """Describe training images, for ``ModelConfig.source["training"]``.

    Args:
        images: At least one, ``(height, width)`` or ``(height, width, 3)``; one at a time is held.
        object_diameter: Median diameter of their objects in model pixels.

    Returns:
        The record, as JSON.
    """
    kinds: set[Background] = set()
    colour = False
    for image in images:
        kinds.add(_background(image))
        colour = colour or _has_colours(image)
    return asdict(
        Known(
            background=kinds.pop() if len(kinds) == 1 else None,
            colour=colour,
            object_diameter=round(float(object_diameter), 1),
        )
    )


def image_doubts(image: Array, config: ModelConfig) -> list[str]:
    """Say what is odd about an image, before anything is segmented.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, at least one pixel, finite.
        config: The model's config; it says what the model was trained on.

    Returns:
        Sentences without a full stop.
    """
    if is_constant(image):
        return [f"all pixels of the image have the value {image.min()}, so it shows nothing"]
    known = known_of(config)
    picture, found = left_out(image, config.preprocessing)
    if known is not None and known.background is not None:
        background = _background(picture)
        if background != known.background:
            found.append(
                f"the background is {background}, and the model was trained on objects on a "
                f"{known.background} background: the result is likely wrong; choose a model for "
                "such images, or invert the image if the objects look right then"
            )
    if known is not None and not known.colour and _has_colours(image):
        found.append(
            "the image has colours, and the model was trained on grey images: the result is likely "
            "wrong; give the channel with the objects alone, or choose another model"
        )
    found += range_doubts(image, config.preprocessing.intensity)
    share, value = _saturation(image)
    if share > SATURATED:
        found.append(
            f"{share:.0%} of the pixels have the value {value}, the highest that a camera gives: "
            "the image is saturated, and objects that touch may have become one"
        )
    return found


def label_doubts(
    labels: Labels2D, config: ModelConfig, *, foreground: Float2D | None = None
) -> list[str]:
    """Say what is odd about the labels of an automatic segmentation.

    Args:
        labels: ``(height, width)``, 0 is background.
        config: The model's config.
        foreground: The model's foreground map, same shape, if there is one.

    Returns:
        Sentences without a full stop.
    """
    areas = object_areas(labels)
    share = 0.0 if foreground is None else float((foreground > FOREGROUND).mean())
    if not len(areas):
        if share > SOME_FOREGROUND:
            return [
                f"no object was found, though the model takes {share:.0%} of the image for "
                f"objects; {_OTHER_KIND}"
            ]
        return [NO_OBJECT]
    found = []
    labelled = float(areas.sum()) / labels.size
    if share > SOME_FOREGROUND and labelled < WITHOUT_OBJECTS * share:
        found.append(
            f"the model takes {share:.0%} of the image for objects, but could divide only "
            f"{labelled / share:.0%} of that into objects; {_OTHER_KIND}"
        )
    trained = trained_diameter(config)
    if trained is not None:
        found += _size_doubts(areas, labels.shape, trained, config)
    return found


_OTHER_KIND = (
    "they are likely much smaller or larger than those it was trained on, or of another kind"
)


def _size_doubts(
    areas: NDArray[np.int64], size: tuple[int, ...], trained: float, config: ModelConfig
) -> list[str]:
    scale = model_pixels(config, (size[0], size[1]))
    diameter = median_object_diameter(areas)
    if 1 / OTHER_SIZE <= diameter * scale / trained <= OTHER_SIZE:
        return []
    return [
        f"the objects found have a diameter of {diameter:.0f} pixels (median), and the model was "
        f"trained on objects of about {trained / scale:.0f} pixels: say how large they are "
        "(diameter), or choose another model"
    ]


def score_doubts(iou_predictions: NDArray[np.float32]) -> list[str]:
    """Say which prompted masks the model itself does not trust.

    Args:
        iou_predictions: The predicted IoU of each object, ``(n,)``.

    Returns:
        One sentence without a full stop, or none.
    """
    low = [(number, iou) for number, iou in enumerate(iou_predictions, start=1) if iou < LOW_IOU]
    if not low:
        return []
    shown = ", ".join(f"object {number}: {iou:.2f}" for number, iou in low[:5])
    more = f" and {len(low) - 5} more" if len(low) > 5 else ""
    return [
        f"the model expects its masks to be poor (predicted IoU below {LOW_IOU}; {shown}{more}): "
        "look at them, and add points or draw a box"
    ]


def mask_doubts(areas: Sequence[int]) -> list[str]:
    """Say which prompted masks are empty.

    Args:
        areas: Pixels of each object's mask.

    Returns:
        One sentence without a full stop, or none.
    """
    empty = [str(number) for number, area in enumerate(areas, start=1) if not area]
    if not empty:
        return []
    more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
    return [f"no pixel belongs to object {', '.join(empty[:5])}{more}; prompt it in another way"]


def _grey(image: Array) -> NDArray[np.float64]:
    values: NDArray[np.float64] = (
        image.mean(axis=2) if image.ndim == 3 else image.astype(np.float64)
    )
    return values


def _background(image: Array) -> Background:
    low, middle, high = np.percentile(_grey(image), (0.1, 50, 99.9))
    return "bright" if middle - low > BRIGHT * (high - low) else "dark"


def _has_colours(image: Array) -> bool:
    """Tell whether the channels differ; an image with one channel that is not empty is grey."""
    if image.ndim == 2 or sum(bool(image[..., c].any()) for c in range(image.shape[2])) < 2:
        return False
    values = image.astype(np.float64)
    spread = float((values.max(axis=2) - values.min(axis=2)).mean())
    return spread > COLOURED * float(values.max() - values.min())


def _saturation(image: Array) -> tuple[float, int]:
    """Return the share of pixels at a camera's highest value, and that value; 0 if none."""
    highest = int(image.max()) if image.dtype.name in CAMERA_MAXIMA else 0
    if highest not in CAMERA_MAXIMA.get(image.dtype.name, ()):
        return 0.0, highest
    if len(np.unique(image[::STRIDE, ::STRIDE])) < FEW_VALUES:
        return 0.0, highest
    at = image == highest
    return float((at.any(axis=2) if at.ndim == 3 else at).mean()), highest
