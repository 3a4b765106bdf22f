"""The LoRA factors of an adapter, read from an ``.onnx_adapter`` file and checked.

In: a file's bytes, whose hash was checked, and the inputs of the shared encoder. Out: the arrays
that an encoder session is fed, by input name. The file format is onnxruntime's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.errors import FormatError, StorageError, shown

Factors = dict[str, NDArray[np.float32]]
"""Arrays by encoder input: ``<layer>.lora_a (in, rank)`` and ``<layer>.lora_b (rank, out)``."""

FactorShapes = Mapping[str, tuple[int | None, ...]]
"""Shapes that an encoder takes, by input name; None stands for the rank."""

MAX_RANK = 4096
"""Largest rank of a layer; above it a full weight is smaller in all networks here (own choice)."""

STORED = {"tensor(float)": 4, "tensor(float16)": 2}
"""How factors may be stored: onnxruntime's names, and bytes of a value."""


def factor_names(layer: str) -> tuple[str, str]:
    """Return the names of a linear layer's two factor inputs.

    Args:
        layer: The layer's name in the image encoder.

    >>> factor_names("blocks.0.attn.qkv")
    ('blocks.0.attn.qkv.lora_a', 'blocks.0.attn.qkv.lora_b')
    """
    return f"{layer}.lora_a", f"{layer}.lora_b"


def read_factors(data: bytes, accepted: FactorShapes, *, where: str) -> Factors:
    """Read factors and check them against the encoder that will take them.

    Args:
        data: An ``.onnx_adapter`` file's bytes, whose hash has been checked.
        accepted: The encoder's inputs besides the image.
        where: Names the file in messages.

    Returns:
        float32 arrays, finite, in pairs that fit the encoder and each other.

    Raises:
        FormatError: The bytes are not an onnxruntime adapter, or it does not fit the encoder.
        StorageError: There is no room for a temporary file.
    """
    factors = _parse(data, where=where)
    for name, value in factors.items():
        shape = accepted.get(name)
        if shape is None:
            raise FormatError(
                f"{where}: {shown(name)} is no input of this encoder; the adapter belongs to "
                "another encoder"
            )
        if len(shape) != value.ndim or any(
            wanted not in (None, found) for wanted, found in zip(shape, value.shape, strict=True)
        ):
            wanted = ", ".join("rank" if size is None else str(size) for size in shape)
            raise FormatError(
                f"{where}: {name}: found the shape {value.shape}, the encoder takes ({wanted}); "
                "the adapter belongs to another encoder"
            )
    _check_pairs(factors, where=where)
    for name, value in factors.items():
        if not np.isfinite(value).all():
            raise FormatError(f"{where}: {name}: holds values that are not finite")
    return factors


def _parse(data: bytes, *, where: str) -> Factors:
    onnxruntime = import_onnxruntime()
    try:
        # onnxruntime reads adapters from paths only. A private copy of the checked bytes makes
        # sure that nobody changes the file between the check and the reading.
        with tempfile.TemporaryDirectory(prefix="samzoo-", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "checked.onnx_adapter"
            path.write_bytes(data)
            file = onnxruntime.AdapterFormat.read_adapter(
                str(path)
            )  # owns the memory of its values
            values = file.get_parameters()
            types = sorted({value.data_type() for value in values.values()})
            each = max((STORED.get(kind, 0) for kind in types), default=0)
            size = each * sum(prod(value.shape()) for value in values.values())
            if size > len(data) or len(types) > 1 or not set(types) <= set(STORED):
                raise FormatError(
                    f"{where}: expected {' or '.join(STORED)} in all factors, found "
                    f"{', '.join(types)}, and {size} bytes of them in a file of {len(data)}"
                )
            return {
                name: np.array(values[name].numpy(), dtype=np.float32) for name in sorted(values)
            }
    except OSError as error:
        raise StorageError(f"{where}: could not be read through a temporary file ({error})") from (
            error
        )
    except FormatError:
        raise
    except Exception as error:  # onnxruntime's error classes share no public base
        raise FormatError(f"{where}: not an adapter file of onnxruntime ({error})") from error


def _check_pairs(factors: Factors, *, where: str) -> None:
    """Check that every A has a B of its rank; the encoder's own error would not name the file."""
    for name in factors:
        layer = name.rpartition(".")[0]
        a, b = (factors.get(part) for part in factor_names(layer))
        if a is None or b is None:
            raise FormatError(f"{where}: {name}: its partner is missing; the file is incomplete")
        if a.shape[1] != b.shape[0] or not 1 <= a.shape[1] <= MAX_RANK:
            raise FormatError(
                f"{where}: {layer}: found the ranks {a.shape[1]} and {b.shape[0]}, allowed is one "
                f"rank from 1 to {MAX_RANK} for both factors"
            )
