"""Embeddings of a frozen encoder, computed once for each crop and stored in files.

In: a crop. Out: its embeddings. They are stored in files because they are large: 64 crops with a
64 x 64 grid take 268 MB.
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
    """Return an identity of all that the embeddings of a frozen encoder depend on.

    These are the base, what the encoder learned before it was frozen, the data and the
    preprocessing.
    """
    text = base_digest + delta_digest + data_digest + str(preprocessing)
    return weights_digest({"id": np.frombuffer(text.encode(), np.uint8)})


class EmbeddingCache:
    """Computes the embeddings of a crop when they are first asked for, and then reads them.

    Files are named after the crop and lie in a folder of the run. If the folder has another
    ``identity``, because the data or the base changed, it is emptied.
    """

    def __init__(self, folder: Path, identity: str, encode: Callable[[Crop], Tensor]) -> None:
        self._folder = folder / identity.rpartition(":")[2][:16]
        self._encode = encode
        for other in folder.glob("*") if folder.is_dir() else ():
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)

    def __call__(self, crop: Crop) -> Tensor:
        """Return the image embeddings of a crop, ``(1, 256, grid, grid)``."""
        path = self._folder / ("_".join(str(number) for number in crop.key) + ".safetensors")
        try:
            return torch.from_numpy(np.array(read_tensors(path)[NAME]))
        except (NotFoundError, FormatError, KeyError):  # missing or damaged, so compute it
            embeddings = self._encode(crop).detach().float().cpu().numpy()
            write_tensors(path, {NAME: embeddings}, {})
            # The values as they will be read next time, memory layout included. So both visits of
            # a crop give the same bits, even if the run was interrupted between them.
            return torch.from_numpy(np.ascontiguousarray(embeddings))
