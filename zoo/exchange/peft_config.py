"""What an ``adapter_config.json`` of ``peft`` says about the arithmetic of its LoRA.

In: the file. Out: how each layer is scaled, or an error for a setting that computes anything but
``W + alpha / rank * B A``. Called by ``huggingface_peft.py``. Source: peft 0.21.2, ``LoraConfig``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.files import read_json

HARMLESS = (
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "ensure_weight_tying",
    "exclude_modules", "inference_mode", "init_lora_weights", "layers_pattern",
    "layers_to_transform", "lora_alpha", "lora_dropout", "loftq_config", "eva_config",
    "megatron_core", "modules_to_save", "peft_type", "peft_version", "qalora_group_size", "r",
    "rank_pattern", "revision", "runtime_config", "target_modules", "task_type", "use_rslora",
)  # fmt: skip
"""Settings that say which layers there are, how they trained, or what we read below. The tensors
in the file say which layers there are; dropout acts in training only."""

REQUIRED: dict[str, Any] = {"bias": "none", "fan_in_fan_out": False}
"""Settings with one value that we can read. All others must be off (null, false or empty)."""

STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""Initialisations that leave the base alone. PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the
base's weights before training, so their factors do not belong to the base as it was."""


@dataclass(frozen=True)
class Scaling:
    """How ``peft`` scales each layer's ``B A``.

    Attributes:
        alpha: ``lora_alpha``.
        rslora: Divide alpha by the square root of the rank and not by the rank.
        alpha_pattern: Other alphas, by a regular expression for the end of the layer's name.
    """

    alpha: float
    rslora: bool = False
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)

    def of(self, layer: str, rank: int) -> float:
        """Return the factor of a layer.

        Args:
            layer: Its name in the wrapped model.
            rank: Rows of its A.
        """
        alpha = self.alpha
        for pattern, value in self.alpha_pattern.items():
            if _ends_with(layer, pattern):
                alpha = value
                break
        return float(alpha) / (sqrt(rank) if self.rslora else rank)


def _ends_with(layer: str, pattern: str) -> bool:
    # A regular expression from a stranger can take forever; those that are plain names, as peft
    # writes them, need none.
    return layer == pattern or layer.endswith(f".{pattern}")


def read_scaling(path: Path) -> Scaling:
    """Read and check the config.

    Raises:
        NotFoundError: There is no such file.
        FormatError: Not a LoRA, or a setting that computes something else; names it.
    """
    config = read_json(path)
    if config.get("peft_type") != "LORA":
        raise FormatError(
            f"{path}: peft_type: found {shown(config.get('peft_type'))}, allowed is 'LORA'"
        )
    for name, value in config.items():
        if name in REQUIRED:
            if value not in (REQUIRED[name], None):
                raise FormatError(
                    f"{path}: {name}: found {shown(value)}, allowed is {REQUIRED[name]!r}"
                )
        elif name not in HARMLESS and value not in (None, False, "", [], {}):
            raise FormatError(
                f"{path}: {shown(name)}: found {shown(value)}, which is not a plain LoRA; allowed "
                "is null or false. Merge it with peft (merge_and_unload) and convert the model"
            )
    start = config.get("init_lora_weights", True)
    if not isinstance(start, (bool, str)) or start not in STARTS:
        allowed = ", ".join(str(each) for each in STARTS)
        raise FormatError(
            f"{path}: init_lora_weights: found {shown(start)}, which changes the base's weights; "
            f"allowed: {allowed}"
        )
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, Mapping):
        raise FormatError(f"{path}: alpha_pattern: expected an object, found {shown(patterns)}")
    for pattern in patterns:
        if not re.fullmatch(r"[\w.\\^]{1,200}", pattern):
            raise FormatError(
                f"{path}: alpha_pattern: {shown(pattern)} is a regular expression; names of "
                "layers can be read"
            )
    alphas = {p.lstrip("^").replace("\\.", "."): _number(path, "alpha_pattern", a)
              for p, a in patterns.items()}  # fmt: skip
    rslora = config.get("use_rslora") or False
    if not isinstance(rslora, bool):
        raise FormatError(f"{path}: use_rslora: expected true or false, found {shown(rslora)}")
    return Scaling(_number(path, "lora_alpha", config.get("lora_alpha", 8)), rslora, alphas)


def _number(path: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise FormatError(f"{path}: {name}: expected a finite number, found {shown(value)}")
    return float(value)
