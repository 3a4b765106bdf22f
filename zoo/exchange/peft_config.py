"""The settings in ``peft``'s ``adapter_config.json`` that change what its LoRA computes.

In: the file. Out: how each layer is scaled, or an error for a setting that computes anything other
than ``W + alpha / rank * B A``. Source: peft 0.21.2, ``LoraConfig``.
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
"""Settings with any value: those that choose the layers (the tensors show them), those that act in
training only, such as dropout, and those that are read below."""

REQUIRED: dict[str, Any] = {"bias": "none", "fan_in_fan_out": False}
"""Settings that must have one certain value. All others must be off (null, false or empty)."""

STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""Initialisations that do not change the base. PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the
base's weights before training, so their factors do not belong to the original base."""


@dataclass(frozen=True)
class Scaling:
    """How ``peft`` scales each layer's ``B A``.

    Attributes:
        alpha: ``lora_alpha``.
        rslora: Divide alpha by the square root of the rank, not by the rank.
        alpha_pattern: Other alphas, by a regular expression for the end of the layer's name.
    """

    alpha: float
    rslora: bool = False
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)

    def of(self, layer: str, rank: int) -> float:
        """Return the factor that a layer's ``B A`` is multiplied by.

        Args:
            layer: The layer's name in the wrapped model.
            rank: Number of rows of the layer's A.
        """
        alpha = self.alpha
        for pattern, value in self.alpha_pattern.items():
            if _ends_with(layer, pattern):
                alpha = value
                break
        return float(alpha) / (sqrt(rank) if self.rslora else rank)


def _ends_with(layer: str, pattern: str) -> bool:
    # A stranger's regular expression could run forever. peft writes plain names, which can be
    # compared as text.
    return layer == pattern or layer.endswith(f".{pattern}")


def read_scaling(path: Path) -> Scaling:
    """Read and check the config.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The adapter is not a LoRA, or a setting makes it compute something else; the
            message names the setting.
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
                f"{path}: alpha_pattern: found the regular expression {shown(pattern)}; allowed "
                "are only names of layers"
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
