"""From a user's prompts to masks, cut out of an image of any size.

In: networks, embeddings and ``Prompt`` objects. Out: a mask, an iou_prediction and low_res_logits
for each object.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.formats.arrays import Float4D, Progress
from samzoo.runtime.formats.config import MASK_THRESHOLD, ModelConfig

from .batches import decode
from .cutouts import MaskPart, cut_out
from .enlargement import draw_mask
from .tokens import Prompt


def prompted_masks(
    networks: Networks,
    config: ModelConfig,
    embeddings: ImageEmbeddings,
    prompts: Sequence[Prompt],
    progress: Progress | None,
) -> tuple[list[MaskPart], NDArray[np.float32], Float4D]:
    """Decode each object in its most central tile, and draw it there.

    Args:
        networks: The model's networks.
        config: The model's config.
        embeddings: The image's embeddings.
        prompts: The objects.
        progress: Called with ("prompt", objects done, objects in all).

    Returns:
        Masks cut out of the image, iou_predictions ``(n,)`` and low_res_logits ``(n, 1, 4 * grid,
        4 * grid)`` of the tile that decoded the object, all in the order of the prompts.
    """
    side = config.mask_side
    parts: list[MaskPart] = [cut_out(np.zeros((0, 0), np.bool_))] * len(prompts)
    scores = np.zeros(len(prompts), np.float32)
    low_res = np.zeros((len(prompts), 1, side, side), np.float32)
    for decoded in decode(networks, config, embeddings, prompts, progress=progress):
        for i, logits in zip(decoded.members, decoded.low_res[:, 0], strict=True):
            mask = np.zeros(decoded.tile.size, np.bool_)
            draw_mask(logits, decoded.enlargement, MASK_THRESHOLD, mask)
            row, column, part = cut_out(mask)
            y, x = decoded.tile.outer[:2] if part.size else (0, 0)
            parts[i] = row + y, column + x, part
        scores[decoded.members] = decoded.iou[:, 0]
        low_res[decoded.members] = decoded.low_res
    return parts, scores, low_res
