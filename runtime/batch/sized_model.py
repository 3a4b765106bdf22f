"""A model that is scored at the scale that it estimates for each image.

In: a ``Model`` and the thresholds that the user gave. Out: a ``Segmenter``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.model import Model


class SizedByImage:
    """A model that sees each image at the scale that it estimates, once an image.

    Args:
        model: The model, at its own scale.
        thresholds: Fields of the model's thresholds to replace.
    """

    def __init__(self, model: Model, thresholds: Mapping[str, Any]) -> None:
        self._model, self._thresholds = model, thresholds
        self._last: tuple[Array, Model] | None = None

    def embed(self, image: Array, /) -> Any:
        """See ``Segmenter``."""
        return self._sized(image).embed(image)

    def segment(self, image: Array, /) -> Labels2D:
        """See ``Segmenter``."""
        model = self._sized(image)
        return model.segment(image, parameters=replace(model.config.ais, **self._thresholds))

    def prompt(self, embedding: Any, /, **prompts: Any) -> Any:
        """See ``Segmenter``."""
        return self._model.prompt(embedding, **prompts)

    def _sized(self, image: Array) -> Model:
        if self._last is None or self._last[0] is not image:
            scale = self._model.object_scale(image)
            self._last = image, self._model.for_objects(scale.changed)
        return self._last[1]
