"""Embeddings of a frozen encoder, computed once for each crop and kept in files.

Files instead of memory: 64 crops of a 64 x 64 grid are 268 MB.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.files import read_tensors, write_tensors

from .reading import Crop

NAME = "image_embeddings"


def cache_identity(
    base_digest: str, delta_digest: str, data_digest: str, preprocessing: Preprocessing
) -> str:
    """Name what the embeddings of a frozen encoder depend on.

    Base, what the encoder had learned before it was frozen, data and preprocessing.
    """
    text = base_digest + delta_digest + data_digest + str(preprocessing)
    return weights_digest({"id": np.frombuffer(text.encode(), np.uint8)})


class EmbeddingCache:
    """Computes the embeddings of a crop when first asked for, and reads them afterwards.

    Files are named by the crop and lie in a folder of the run, whose ``identity`` must match: a
    run that goes on with other data or another base starts an empty folder.
    """

    def __init__(self, folder: Path, identity: str, encode: Callable[[Crop], Tensor]) -> None:
        self._folder = folder / identity.rpartition(":")[2][:16]
        self._encode = encode
        for other in folder.glob("*") if folder.is_dir() else ():
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)

    def __call__(self, crop: Crop) -> Tensor:
        """Return ``(1, 256, grid, grid)`` for a crop."""
        path = self._folder / ("_".join(str(number) for number in crop.key) + ".safetensors")
        try:
            return torch.from_numpy(np.array(read_tensors(path)[NAME]))
        except (NotFoundError, FormatError, KeyError):  # not there yet, or damaged: compute it
            embeddings = self._encode(crop).detach().float().cpu().numpy()
            write_tensors(path, {NAME: embeddings}, {})
            # As it will be read next time, also in memory layout, so that the two visits of a
            # crop give the same bits, and so does a run that was interrupted between them.
            return torch.from_numpy(np.ascontiguousarray(embeddings))
