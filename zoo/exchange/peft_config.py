"""The settings in ``peft``'s ``adapter_config.json`` that change what its LoRA computes.

In: the file. Out: how each layer is scaled, or an error for a setting that computes anything other
than ``W + alpha / rank * B A``. Source: peft 0.21.2, ``LoraConfig``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.files import read_json

from .layer_patterns import first_match, is_safe
from .peft_names import SAM_MODEL

HARMLESS = (
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "ensure_weight_tying",
    "exclude_modules", "fan_in_fan_out", "inference_mode", "init_lora_weights", "layers_pattern",
    "layers_to_transform", "lora_alpha", "lora_dropout", "loftq_config", "eva_config",
    "megatron_core", "modules_to_save", "peft_type", "peft_version", "qalora_group_size", "r",
    "rank_pattern", "revision", "runtime_config", "target_modules", "task_type", "use_rslora",
)  # fmt: skip
"""Settings with any value: those that choose the layers (the tensors show them), those that act in
training only, such as dropout, those that are read below, and ``fan_in_fan_out``, which peft sets
to false for the linear layers of torch. All others must be off (null, false, zero or empty)."""

NOT_PLAIN = (
    "alora_invocation_tokens", "arrow_config", "corda_config", "kasa_config", "layer_replication",
    "lora_bias", "lora_ga_config", "megatron_config", "monteclora_config", "target_parameters",
    "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora", "velora_config",
)  # fmt: skip
"""Settings that are known to compute something else. What is neither here nor above is newer than
peft 0.21.2, and may."""

BIASES = ("none", "all", "lora_only")
"""Values of ``bias``. Other than ``none`` they add the biases to the tensors."""

MERGE = "Merge it with peft (merge_and_unload) and convert the model"

STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""Initialisations that do not change the base. PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the
base's weights before training, so their factors do not belong to the original base."""


LARGEST = 1e30
"""Numbers above this are no settings; float32 would make them infinite (own choice)."""


@dataclass(frozen=True)
class Scaling:
    """How ``peft`` scales each layer's ``B A``, and what else its config says about the tensors.

    Attributes:
        alpha: ``lora_alpha``.
        rank: ``r``; None if the config lacks it.
        rslora: Divide alpha by the square root of the rank, not by the rank.
        alpha_pattern: Other alphas, by a regular expression for the end of the layer's name.
        rank_pattern: Other ranks, likewise.
        is_sam_model: The wrapped model was Hugging Face's ``SamModel``.
        bias: Which biases were trained: one of ``BIASES``.
        base_model: Name on Hugging Face of the model that was wrapped; None if the config does not
            say, or names a folder.
    """

    alpha: float
    rank: float | None = None
    rslora: bool = False
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    rank_pattern: Mapping[str, float] = field(default_factory=dict)
    is_sam_model: bool = False
    bias: str = "none"
    base_model: str | None = None

    def of(self, layer: str, rank: int) -> float:
        """Return the factor that a layer's ``B A`` is multiplied by.

        Args:
            layer: The layer's name in the wrapped model.
            rank: Number of rows of the layer's A.
        """
        found = first_match(self.alpha_pattern, layer)
        alpha = self.alpha if found is None else self.alpha_pattern[found]
        return float(alpha) / (sqrt(rank) if self.rslora else rank)

    def rank_of(self, layer: str) -> float | None:
        """Return the rank that the config gives a layer; None if it does not say."""
        found = first_match(self.rank_pattern, layer)
        return self.rank if found is None else self.rank_pattern[found]


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
            f"{path}: peft_type: found {shown(config.get('peft_type'))}, allowed is 'LORA'. {MERGE}"
        )
    for name, value in config.items():
        if name == "bias":
            if value not in (*BIASES, None):
                raise FormatError(
                    f"{path}: bias: found {shown(value)}, allowed: {', '.join(BIASES)}"
                )
        elif name not in HARMLESS and value not in (None, False, "", [], {}):
            why = (
                "which is not a plain LoRA" if name in NOT_PLAIN
                else "a setting that samzoo does not know and that may change what LoRA computes"
            )  # fmt: skip
            raise FormatError(
                f"{path}: {shown(name)}: found {shown(value)}, {why}; allowed is null or false. "
                f"{MERGE}"
            )
    start = config.get("init_lora_weights", True)
    if not isinstance(start, (bool, str)) or start not in STARTS:
        allowed = ", ".join(str(each) for each in STARTS)
        raise FormatError(
            f"{path}: init_lora_weights: found {shown(start)}, which changes the base's weights; "
            f"allowed: {allowed}"
        )
    rslora = config.get("use_rslora") or False
    if not isinstance(rslora, bool):
        raise FormatError(f"{path}: use_rslora: expected true or false, found {shown(rslora)}")
    mapping = config.get("auto_mapping")
    rank = config.get("r")
    return Scaling(
        alpha=_number(path, "lora_alpha", config.get("lora_alpha", 8)),
        rank=None if rank is None else _number(path, "r", rank),
        rslora=rslora,
        alpha_pattern=_patterns(path, "alpha_pattern", config),
        rank_pattern=_patterns(path, "rank_pattern", config),
        is_sam_model=isinstance(mapping, Mapping)
        and str(mapping.get("parent_library")).startswith(SAM_MODEL["parent_library"]),
        bias=config.get("bias") or "none",
        base_model=_hub_name(config.get("base_model_name_or_path")),
    )


def _hub_name(value: Any) -> str | None:
    """Return a name on Hugging Face; None for a folder on somebody's computer."""
    named = isinstance(value, str) and re.fullmatch(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", value)
    return str(value) if named else None


def _patterns(path: Path, name: str, config: Mapping[str, Any]) -> dict[str, float]:
    patterns = config.get(name) or {}
    if not isinstance(patterns, Mapping):
        raise FormatError(f"{path}: {name}: expected an object, found {shown(patterns)}")
    for pattern in patterns:
        if not is_safe(pattern):
            raise FormatError(
                f"{path}: {name}: found the regular expression {shown(pattern)}, which is damaged "
                "or could take forever; allowed are names of layers, groups that are not repeated, "
                "and up to 3 of *, + and {}"
            )
    return {pattern: _number(path, name, value) for pattern, value in patterns.items()}


def _number(path: Path, name: str, value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not -LARGEST < value < LARGEST:  # also true for NaN
        raise FormatError(f"{path}: {name}: expected a finite number, found {shown(value)}")
    return float(value)
