"""A bare ``.pth`` with segment-anything's key names, which most tools with torch can load.

ISAT takes files whose names start with ``sam_vit_b``, Ultralytics those that end with ``sam_b.pt``.
This target writes the same weights under both names.

Source: segment-anything 1.0 ``build_sam.py``; ISAT-SAM 1.5.2 ``segment_any.py``; Ultralytics 8.4
``models/sam/build.py``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig
from samzoo.zoo.checkpoints.tools.builders import published_size
from samzoo.zoo.checkpoints.tools.differences import SEGMENT_ANYTHING
from samzoo.zoo.checkpoints.tools.folded_statistics import (
    SAM_STATISTICS_FILE,
    fold_statistics,
    takes_sam_statistics,
)
from samzoo.zoo.checkpoints.writing import bare_state_dict, save_torch
from samzoo.zoo.packages.target import Source, Target

from .sam_sizes import bottlenecks


def write(folder: Path, source: Source) -> None:
    """Write the state dict, under each name that a tool requires."""
    weights = bare_state_dict(source.config, source.tensors)
    for name in file_names(source.config, source.manifest.name):
        save_torch(folder / name, weights)
    if not takes_sam_statistics(source.config):
        # The plain file is for LiteMedSAM's own code, which does not normalise.
        folded = fold_statistics(source.config.preprocessing, weights)
        save_torch(folder / f"{source.manifest.name}{SAM_STATISTICS_FILE}", folded)


def file_names(config: ModelConfig, name: str) -> list[str]:
    """Return the names of the file for tools that read a model's size from its name."""
    size = published_size(config)
    if not size.startswith("vit_") or size == "vit_t":
        return [f"{name}.pth"]
    return [f"sam_{size}_{name}.pth", f"{name}_sam_{size.removeprefix('vit_')}.pt"]


TARGET = Target(
    name="segment-anything",
    tools=("segment-anything", "ISAT", "Ultralytics"),
    refusal=bottlenecks,
    write=write,
    path=SEGMENT_ANYTHING,
)
