"""What a model sees in one image: its embeddings, the AIS maps, and answers to prompts.

In: a model, an image, prompts. Out: masks that a person may accept, and automatic labels. The
encoder runs once for each image and diameter; the maps are kept, so that other thresholds need no
network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.automatic.ais import segment_from_maps
from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.object_scale import Diameter, at_scale
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Array, Float3D, Labels2D, Masks, Progress
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.large.embedding_store import EmbeddingStore
from samzoo.runtime.model import Model
from samzoo.runtime.prompts.batches import central_tile
from samzoo.runtime.prompts.cutouts import MaskPart
from samzoo.runtime.prompts.derivation import box_of_mask, mask_as_logits, prompt_of_mask
from samzoo.runtime.prompts.tokens import NEGATIVE, POSITIVE

MOST_POINTS = 64
"""Points of one prompt (own choice: people give fewer than ten)."""

THRESHOLDS = (
    "foreground_threshold", "center_distance_threshold", "boundary_distance_threshold", "min_size",
)  # fmt: skip
"""Fields of ``AisParameters`` that a person may move."""


@dataclass(frozen=True)
class Candidate:
    """A mask that a person may accept.

    Attributes:
        part: The mask, cut out.
        score: The model's own estimate of its IoU.
    """

    part: MaskPart
    score: float

    @property
    def pixels(self) -> int:
        """Number of its pixels."""
        return int(self.part[2].sum())


class Sight:
    """One image as a model sees it, embedded.

    Args:
        model: The model.
        image: ``(height, width)`` or ``(height, width, 3)``.
        store: Folder that keeps the embeddings.
        diameter: Diameter of the objects, as in ``Model.embed``.
        progress: Called with ("size", tiles done, 0) and ("embed", tiles done, tiles in all). What
            it raises ends the work.

    Attributes:
        scale: The diameter and scale that are used.
        notes: Sentences for the user.

    Raises:
        SamzooError: The diameter or the image cannot be used, or the store cannot be written.
    """

    def __init__(
        self, model: Model, image: Array, store: Path, *, diameter: Diameter, progress: Progress
    ) -> None:
        self.scale = model.object_scale(image, diameter, progress=progress)
        self.notes = [self.scale.doubt] if self.scale.doubt else []
        self._model = model.for_objects(self.scale.changed).snapshot()
        keep = EmbeddingStore(store)
        self.embeddings = _embedded(keep, self._model, image, progress)
        self.notes += keep.notes
        self._maps: Float3D | None = None

    @property
    def has_ais(self) -> bool:
        """Whether the model can segment automatically."""
        return self._model.config.architecture.ais_decoder is not None

    @cached_property
    def thresholds(self) -> AisParameters:
        """The model's own thresholds, at the scale that is used."""
        return at_scale(self._model.config, self.embeddings.scale).ais

    def automatic(self, given: Mapping[str, Any] | None = None) -> Labels2D:
        """Segment automatically.

        Args:
            given: Fields of ``THRESHOLDS`` that replace the model's own.

        Returns:
            Labels, ``(height, width)`` int32; those of ``Model.segment`` of the embeddings.

        Raises:
            InputError: The model has no AIS decoder, or a threshold is unknown or out of range.
        """
        parameters = dataclasses.replace(self.thresholds, **checked_thresholds(given or {}))
        if self._maps is None:
            self._maps = self._model.ais_maps(self.embeddings)
        if self.embeddings.constant:
            return np.zeros(self.embeddings.original_size, np.int32)
        return segment_from_maps(*self._maps, parameters=parameters)

    def prompt(
        self,
        *,
        points: Sequence[tuple[float, float]] = (),
        point_labels: Sequence[int] = (),
        box: Sequence[float] | None = None,
        mask: Masks | None = None,
    ) -> Candidate:
        """Segment the object that a person means.

        Args:
            points: (x, y) in image pixels.
            point_labels: For each point 1 (object) or 0 (background).
            box: XYXY in image pixels.
            mask: ``(height, width)`` boolean, roughly the object; it prompts with its own box, and
                not together with another.

        Raises:
            InputError: A prompt cannot be used; see ``Model.prompt``.
        """
        if len(points) > MOST_POINTS:
            raise InputError(f"points: found {len(points)}, allowed are {MOST_POINTS}")
        if any(label not in (NEGATIVE, POSITIVE) for label in point_labels):
            raise InputError("point_labels: allowed are 1 (object) and 0 (background)")
        arguments: dict[str, Any] = {}
        if len(points) or len(point_labels):
            arguments = {"points": list(points), "point_labels": list(point_labels)}
        if mask is not None:
            if box is not None:
                raise InputError("a mask prompts with its own box; give the box or the mask")
            box, logits = self._of_mask(mask)
            arguments["mask_input"] = logits
        if box is not None:
            arguments["boxes"] = list(box)
        parts, scores, _ = self._model.prompt_parts(self.embeddings, **arguments)
        return Candidate(parts[0], float(scores[0]))

    def _of_mask(self, mask: Masks) -> tuple[list[float], Float3D]:
        """Return a mask's box, and the mask as the input of the tile that decodes it."""
        if mask.shape != self.embeddings.original_size or not mask.any():
            raise InputError("mask: must have the image's size and hold a pixel of the object")
        tile = self.embeddings.tiles[
            central_tile(prompt_of_mask(mask, "box"), self.embeddings.tiles)
        ]
        config = at_scale(self._model.config, self.embeddings.scale)
        box = [float(each) for each in box_of_mask(mask)]
        return box, mask_as_logits(mask, tile, config)


def _embedded(
    keep: EmbeddingStore, model: Model, image: Array, progress: Progress
) -> ImageEmbeddings:
    """Embed all tiles of an image, or read those that were embedded before."""
    lazy = keep.embed(model, image, tiled=True)
    count = len(lazy.tiles)
    values = []
    for number, value in enumerate(lazy.values):
        progress("embed", number, count)
        values.append(value)
    progress("embed", count, count)
    return dataclasses.replace(lazy, values=np.stack(values))


def checked_thresholds(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check thresholds from a person.

    Args:
        given: Values by their names in ``THRESHOLDS``.

    Returns:
        The same, as numbers.

    Raises:
        InputError: A name is unknown or a value is out of range.
    """
    checked: dict[str, Any] = {}
    for name, value in given.items():
        if name not in THRESHOLDS:
            raise InputError(f"{name}: is no threshold; there are {', '.join(THRESHOLDS)}")
        whole = name == "min_size"
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= (2**31 if whole else 1):
            allowed = "0 or more pixels" if whole else "0 to 1"
            raise InputError(f"{name}: found {value!r}, allowed is {allowed}")
        checked[name] = int(value) if whole else float(value)
    return checked
