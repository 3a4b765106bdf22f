"""``samzoo segment`` that computes the AIS maps of equal model tiles only once.

    python benchmarks/equal_tiles.py FOLDER [options of samzoo]

A picture made by repetition has many tiles with equal pixels, for which the networks compute equal
maps each time. The script keeps their outputs in FOLDER by the hash of the encoder's input. So
labels equal those of ``samzoo``; only the time differs. ``large.py`` runs it with ``--seams``.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.engine.sessions import OnnxNetworks
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.manifest import AIS_DECODER, ENCODER
from samzoo.zoo.cli import main


def keep_maps(folder: Path) -> None:
    """Let networks look up their outputs in a folder before they compute."""
    encode, decode_ais = OnnxNetworks.encode, OnnxNetworks.decode_ais
    waiting: dict[int, Any] = {}
    numbers = itertools.count()

    def encode_later(networks: OnnxNetworks, image: Any) -> Any:
        number = next(numbers)
        waiting[number] = image
        grid = networks._config.grid
        return np.full((1, EMBEDDING_CHANNELS, grid, grid), number, np.float32)

    @functools.cache
    def hash_of_graphs(networks: OnnxNetworks) -> Any:
        return hashlib.sha256(networks._read(ENCODER) + networks._read(AIS_DECODER))

    def decode_once(networks: OnnxNetworks, embeddings: Any) -> Any:
        image = waiting.pop(int(embeddings.flat[0]))
        seen = hash_of_graphs(networks).copy()
        seen.update(str(image.shape).encode() + image.tobytes())
        path = folder / f"{seen.hexdigest()}.npy"
        if not path.exists():
            part = path.with_suffix(".part.npy")
            np.save(part, decode_ais(networks, encode(networks, image)))
            part.replace(path)
        return np.load(path)

    OnnxNetworks.encode = encode_later
    OnnxNetworks.decode_ais = decode_once


if __name__ == "__main__":
    work = Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    keep_maps(work)
    sys.exit(main(sys.argv[2:]))
