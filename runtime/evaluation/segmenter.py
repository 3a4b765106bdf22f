"""The protocol of a model that can be evaluated: three methods.

The same code scores models in torch (during training) and in onnxruntime (after export); a
protocol, unlike a base class, lets them be independent of each other. First arguments are
positional, so that a model may choose their names.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array, Boxes, Labels2D, Masks, Points


class Segmenter(Protocol):
    """A model as evaluation sees it; ``samzoo.runtime.load`` returns one."""

    def embed(self, image: Array, /) -> Any:
        """Compute the image embeddings of one image."""
        ...

    def prompt(
        self,
        embedding: Any,
        /,
        *,
        points: Points | None = None,
        point_labels: NDArray[np.int32] | None = None,
        boxes: Boxes | None = None,
    ) -> tuple[Masks, NDArray[np.float32], Any]:
        """Segment n prompted objects.

        Args:
            embedding: From ``embed``.
            points: ``(n, k, 2)`` float32 (x, y).
            point_labels: ``(n, k)`` int32: 1 foreground, 0 background, -1 padding.
            boxes: ``(n, 4)`` float32 XYXY.

        Returns:
            Masks ``(n, height, width)`` boolean, scores ``(n,)``, low_res_logits.
        """
        ...

    def segment(self, image: Array, /) -> Labels2D:
        """Segment all objects automatically."""
        ...


class TimedSegmenter:
    """A model whose automatic segmentation is timed."""

    def __init__(self, model: Segmenter) -> None:
        """Wrap a model; ``seconds_per_megapixel`` has a number for each image that it segments."""
        self._model = model
        self.seconds_per_megapixel: list[float] = []
        self.embed, self.prompt = model.embed, model.prompt

    def segment(self, image: Array, /) -> Labels2D:
        """Segment all objects automatically, and note how long it takes."""
        start = time.perf_counter()
        labels = self._model.segment(image)
        height, width = image.shape[:2]
        self.seconds_per_megapixel.append((time.perf_counter() - start) * 1e6 / (height * width))
        return labels

    @property
    def speed(self) -> dict[str, float]:
        """The median over images in ``seconds_per_megapixel``, in wall time; empty without any."""
        found = self.seconds_per_megapixel
        return {"seconds_per_megapixel": float(np.median(found))} if found else {}
