"""The protocol of a model's networks, whatever computes them.

``sessions.py`` computes the networks with onnxruntime; training computes them with torch during
validation. The rest of the runtime sees this protocol only, so both run the same code.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array, Float4D

MULTIMASK_OUTPUT: dict[bool | None, float] = {None: 0.0, True: 1.0, False: -1.0}
"""The value of the mask decoder's input for each value of ``multimask_output``."""


class Networks(Protocol):
    """The three networks of a model, on numpy arrays."""

    def encode(self, image: Array) -> Float4D:
        """Map an image to its embeddings.

        Args:
            image: ``(height, width, 3)`` uint8 or float32 in 0..255, resized, not padded.

        Returns:
            image_embeddings ``(1, 256, grid, grid)``.
        """
        ...

    def decode_prompts(
        self,
        image_embeddings: Float4D,
        point_coords: NDArray[np.float32],
        point_labels: NDArray[np.float32],
        mask_input: Float4D | None,
        *,
        multimask_output: bool | None = None,
    ) -> tuple[NDArray[np.float32], Float4D]:
        """Decode ``n`` objects that have the same number of tokens.

        Args:
            image_embeddings: ``(1, 256, grid, grid)``.
            point_coords: ``(n, k, 2)`` (x, y) in pixels of the resized image.
            point_labels: ``(n, k)``.
            mask_input: ``(n, 1, 4 * grid, 4 * grid)`` logits, or None.
            multimask_output: True for the multimask outputs, False for the single-mask output, as
                in segment-anything. None chooses one output for each object: the single-mask
                output if a box or several points say what is meant, else the multimask output with
                the best predicted IoU (or what the config's ``point_output`` says).

        Returns:
            iou_predictions ``(n, c)`` and low_res_logits ``(n, c, 4 * grid, 4 * grid)``; c is 1, or
            3 with multimask outputs.

        Raises:
            InputError: ``multimask_output`` is given, and the package is too old to take it.
        """
        ...

    def decode_ais(self, image_embeddings: Float4D) -> Float4D:
        """Map embeddings to AIS maps ``(1, 3, side, side)``, in the order of ``AIS_CHANNELS``."""
        ...


class RememberedEncoder:
    """Networks that remember their last embeddings and do not encode the same pixels again.

    Evaluation uses it, because several tasks look at one image. It keeps the last ``capacity``
    tiles.
    """

    def __init__(self, networks: Networks, capacity: int = 32) -> None:
        self._networks = networks
        self._capacity = capacity
        self._known: OrderedDict[bytes, Float4D] = OrderedDict()
        self.decode_prompts = networks.decode_prompts
        self.decode_ais = networks.decode_ais

    def encode(self, image: Array) -> Float4D:
        """See ``Networks``."""
        pixels = np.ascontiguousarray(image)
        key = hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).digest()
        if key not in self._known:
            self._known[key] = self._networks.encode(image)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return self._known[key]
