"""Names of layers in the models that people wrap with ``peft``, and their names in SAM.

In: the names in an adapter's file: those of segment-anything's ``Sam`` or of Hugging Face's
``SamModel``, whole or its image encoder alone, perhaps inside a module of the user's own. Out: the
original SAM names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.zoo.checkpoints.base import Base
from samzoo.zoo.checkpoints.huggingface_names import original_name
from samzoo.zoo.checkpoints.state_dicts import plain_name, without_wrappers

PREFIX = "base_model.model."
"""The prefix that ``PeftModel`` puts before the names of the model it wraps."""

SAM_MODEL = {
    "base_model_class": "SamModel",
    "parent_library": "transformers.models.sam.modeling_sam",
}
"""What ``peft`` writes as ``auto_mapping`` over a ``SamModel``."""

ONLY_IN_SAM_MODEL = (
    "vision_encoder.", ".proj_in", ".proj_out", ".layer_norm", ".upscale_", ".mask_embed.",
    "prompt_encoder.point_embed.", "shared_",
)  # fmt: skip
"""Parts of names that Hugging Face has and segment-anything has not."""

Naming = Callable[[str], str]


def unwrapped(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Strip what ``PeftModel`` and other wrappers put before and into all names."""
    named = {plain_name(name.removeprefix(PREFIX)): value for name, value in tensors.items()}
    return dict(without_wrappers(named))


def naming_of(
    layers: Iterable[str], names: Iterable[str], base: Base, *, is_sam_model: bool
) -> Naming | None:
    """Tell how an adapter's names become SAM's.

    Args:
        layers: Names of the adapted layers.
        names: All names in the file; saved modules can show whose names they are.
        base: The base.
        is_sam_model: The config says that the wrapped model was Hugging Face's.

    Returns:
        A function from the file's names to SAM's, under which all layers are in the base; None if
        there is none.
    """
    depth = base.config.architecture.mask_decoder.iou_head_depth
    layers = list(layers)

    def theirs(name: str) -> str:
        return original_name(name, depth)

    ours: list[Naming] = [lambda name: name, lambda name: f"{ENCODER_PREFIX}{name}"]
    sam_model: list[Naming] = [theirs, lambda name: theirs(f"vision_encoder.{name}")]
    if is_sam_model or any(part in f".{name}" for name in names for part in ONLY_IN_SAM_MODEL):
        ours, sam_model = sam_model, ours
    for naming in (*ours, *sam_model):
        if all(naming(f"{layer}.weight") in base.tensors for layer in layers):
            return naming
    return None
