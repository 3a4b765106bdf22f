"""Writing of LoRA folders for Hugging Face's ``peft``, over a ``SamModel`` or a ``Sam``.

In: an adapter of ours. Out: what ``adapter_config.json`` and ``adapter_model.safetensors`` hold,
for ``PeftModel.from_pretrained(model, folder)``. Prompt encoder and mask decoder are
``modules_to_save``. Needs neither torch nor peft.

Source: peft 0.21.2, ``tuners/lora`` and ``utils/save_and_load.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.prefixes import DECODER_PREFIXES, ENCODER_PREFIX
from samzoo.training.methods.lora import LoraSettings
from samzoo.zoo.checkpoints.base import Base
from samzoo.zoo.checkpoints.huggingface_names import POSITIONS, SHARED_POSITIONS, to_huggingface

from .foreign import same
from .fused_lora import fuse
from .lora_layers import grouped
from .peft import NAME_OF_A, NAME_OF_B
from .peft_names import PREFIX, SAM_MODEL


def write(
    settings: LoraSettings, tensors: Mapping[str, Any], base: Base, *, sam_model: bool
) -> tuple[dict[str, Any], Tensors]:
    """Bring a LoRA adapter into the form of ``peft``.

    Args:
        settings: The settings of the method.
        tensors: The adapter's tensors by our names.
        base: The adapter's base.
        sam_model: Use the names of Hugging Face's ``SamModel``, else segment-anything's.

    Returns:
        The content of ``adapter_config.json`` and ``adapter_model.safetensors``. A fused layer has
        one LoRA of rank ``n * rank``. B includes the scale, and ``lora_alpha`` is the rank, so that
        ``peft`` scales by 1. A ``SamModel`` has the position encoding of images outside of its
        prompt encoder: it is saved, too, if the adapter changes it.
    """
    config, scale = base.config.architecture.image_encoder, np.float32(settings.scale)
    depth = base.config.architecture.mask_decoder.iou_head_depth

    def named(name: str) -> str:
        return to_huggingface([name], depth)[name][-1] if sam_model else name

    state: Tensors = {}
    ranks: dict[str, int] = {}
    for layer, by_matrix in grouped(tensors).items():
        weight = f"{ENCODER_PREFIX}{layer}.weight"
        pairs = {m: (a, b if scale == 1 else b * scale) for m, (a, b) in by_matrix.items()}
        a, b = fuse(config, layer, pairs, len(base.tensors[weight]))
        place = named(weight).removesuffix(".weight")
        state[f"{PREFIX}{place}{NAME_OF_A}"] = a
        state[f"{PREFIX}{place}{NAME_OF_B}"] = b
        ranks[place] = len(a)
    for name, value in tensors.items():
        if name.startswith(DECODER_PREFIXES):
            state[f"{PREFIX}{named(name)}"] = value
    saved = [prefix.rstrip(".") for prefix in DECODER_PREFIXES]
    if sam_model and not same(tensors[POSITIONS], base.tensors[POSITIONS]):
        state[f"{PREFIX}{SHARED_POSITIONS[0]}"] = tensors[POSITIONS]
        saved.append(SHARED_POSITIONS[0].partition(".")[0])
    most = max(ranks.values())
    # Patterns are regular expressions; the last name of a layer is enough.
    patterns = {name.rpartition(".")[2]: r for name, r in ranks.items() if r != most}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "auto_mapping": SAM_MODEL if sam_model else None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": most,
        "lora_alpha": most,
        "rank_pattern": patterns,
        "alpha_pattern": patterns,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "target_modules": sorted(ranks),
        "modules_to_save": saved,
    }, state
