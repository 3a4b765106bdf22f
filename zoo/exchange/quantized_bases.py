"""Comparison of a QLoRA checkpoint's 4-bit weights with the base that they were made from.

In: the tensors that bitsandbytes stores for a ``Linear4bit``. Out: the quantization's name, or an
error if the base is the wrong one. Source: bitsandbytes 0.50.2, ``functional.py``,
``QuantState.as_dict``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, WrongBaseError, shown
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.fields import parse_json
from samzoo.runtime.formats.four_bit import (
    BLOCK,
    NESTED_BLOCK,
    QUANTIZATIONS,
    Quantization,
    dequantize,
    quantize,
    unpack,
)
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.zoo.checkpoints.base import Base

from .foreign import check_frozen
from .micro_sam_names import split_quantized

STATE = ".quant_state.bitsandbytes__"

MAX_STATE_BYTES = 10_000
"""Limit for the settings of a packed weight, which take some 200 bytes of JSON (own choice)."""

TOLERANCE = 1e-3
"""Largest relative distance of a packed weight from the base's after the same rounding. The codes
are equal on a CPU; GPU kernels may break ties differently. A base at a distance of 0.001 from the
right one has a distance of 0.018 here (normally distributed weights), since some values get other
codes."""


def is_quantized(tensors: Mapping[str, Any]) -> bool:
    """Return whether any weights are packed by bitsandbytes."""
    return any(STATE in name for name in tensors)


def check_quantized_base(frozen: Mapping[str, Any], base: Base, *, where: str) -> Quantization:
    """Check that frozen tensors are the base's; packed ones are compared after the same rounding.

    Args:
        frozen: Tensors by our names; each packed ``<layer>.weight`` has its further tensors beside
            it.
        base: The base that they should have been made from.
        where: The file, for messages.

    Returns:
        ``fp4`` or ``nf4``.

    Raises:
        FormatError: A packed weight is damaged, incomplete, or packed in another way.
        WrongBaseError: The weights were made from another base.
    """
    packed = sorted(name.partition(STATE)[0] for name in frozen if STATE in name)
    kinds = {name.partition(STATE)[2] for name in frozen if STATE in name}
    kind = next((each for each in QUANTIZATIONS if kinds == {each}), None)
    if kind is None:
        found = ", ".join(shown(each) for each in sorted(kinds))
        raise FormatError(
            f"{where}: quant_state: found {found}, allowed is one of {' or '.join(QUANTIZATIONS)}"
        )
    check_frozen(
        {n: v for n, v in frozen.items() if split_quantized(n)[0] not in packed}, base, where=where
    )
    missing = sorted({n for n in base.tensors if n.startswith(ENCODER_PREFIX)} - set(frozen))
    if missing:
        raise FormatError(f"{where}: lacks the frozen tensor {shown(missing[0])}")
    for name in packed:
        ours = base.tensors.get(name)
        theirs = _unpacked(frozen, name, kind, None if ours is None else ours.shape, where=where)
        if ours is None:
            raise WrongBaseError(
                f"{where}: the base {base.folder} has no tensor {shown(name)}; pass the base it "
                "was made from with --base"
            )
        expected = dequantize(quantize(ours, kind))
        size = max(float(np.linalg.norm(expected)), 1e-30)
        error = float(np.linalg.norm(theirs - expected)) / size
        if not error <= TOLERANCE:
            raise WrongBaseError(
                f"{where}: the 4-bit weight {shown(name)} is {error:.3f} (relative) from that of "
                f"the base {base.folder} after the same rounding, allowed is {TOLERANCE}; pass the "
                "base it was made from with --base"
            )
    return kind


def _unpacked(
    tensors: Mapping[str, Any],
    name: str,
    kind: Quantization,
    shape: tuple[int, ...] | None,
    *,
    where: str,
) -> Array:
    """Turn one packed weight into float32."""
    state = _state(tensors[f"{name}{STATE}{kind}"], f"{where}: tensor {shown(name)}")
    settings = {"quant_type": kind, "blocksize": BLOCK, "nested_blocksize": NESTED_BLOCK}
    for key, allowed in settings.items():
        if state.get(key) != allowed:
            raise FormatError(
                f"{where}: tensor {shown(name)}: quant_state.{key}: found "
                f"{shown(state.get(key))}, allowed is {allowed!r}"
            )
    if shape is None or state.get("shape") != list(shape):
        raise WrongBaseError(
            f"{where}: the 4-bit weight {shown(name)} has the shape {shown(state.get('shape'))}, "
            f"the base has {shape}; pass the base it was made from with --base"
        )
    count = prod(shape)
    blocks = -(-count // BLOCK)
    sizes = {
        "": -(-count // 2), ".absmax": blocks, ".nested_absmax": -(-blocks // NESTED_BLOCK),
        ".nested_quant_map": 256,
    }  # fmt: skip
    parts = {}
    for suffix, size in sizes.items():
        part = tensors.get(name + suffix)
        wanted = np.uint8 if suffix in ("", ".absmax") else np.float32
        if part is None or part.size != size or part.dtype != wanted:
            found = "nothing" if part is None else f"{part.size} values of {part.dtype}"
            raise FormatError(
                f"{where}: tensor {shown(name + suffix)}: expected {size} values of "
                f"{np.dtype(wanted)}, found {found}"
            )
        parts[suffix] = part.reshape(-1)
    offset = state.get("nested_offset")
    if isinstance(offset, bool) or not isinstance(offset, (int, float)):
        raise FormatError(
            f"{where}: tensor {shown(name)}: quant_state.nested_offset: expected a number, found "
            f"{shown(offset)}"
        )
    nested = np.repeat(parts[".nested_absmax"], NESTED_BLOCK)[:blocks]
    scales = parts[".nested_quant_map"][parts[".absmax"]] * nested + np.float32(offset)
    return unpack(parts[""], scales, kind, shape)


def _state(value: Array, where: str) -> dict[str, Any]:
    """Read the settings, which are JSON in a tensor of bytes."""
    try:
        if value.dtype != np.uint8 or value.size > MAX_STATE_BYTES:
            raise ValueError(f"{value.size} values of {value.dtype}")
        state = parse_json(value.tobytes(), where="quant_state")
        if not isinstance(state, dict):
            raise ValueError(f"found {shown(state)}")
    except ValueError as error:
        raise FormatError(f"{where}: quant_state is not a JSON object ({error})") from error
    return state
