"""The precision of a run: one for training, validation and the search for AIS thresholds.

In: the setting ``precision`` and the device. Out: a precision that the device computes well.
"""

from __future__ import annotations

from typing import Literal

import torch

from samzoo.runtime.errors import InputError

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def resolved_precision(wanted: Precision | Literal["auto"], device: torch.device) -> Precision:
    """Replace ``auto`` by what is fastest on a device, as far as that was measured.

    Args:
        wanted: The setting.
        device: Where the run computes.

    Returns:
        For ``auto`` bfloat16 where the device multiplies matrices of bfloat16: GPUs since NVIDIA's
        Ampere, and processors with AMX (an encoder pass forward and backward took 1.3 s instead of
        3.0 s on two cores). Elsewhere float32: a step took 4.0 s in float32 and 5.1 s in bfloat16
        on a processor with AVX-512, and with AVX2 the difference is larger.

    Raises:
        InputError: The device cannot compute in the wanted precision.
    """
    if wanted == "auto":
        return "bf16-mixed" if _multiplies_bfloat16(device) else "32-true"
    if wanted == "16-mixed" and device.type != "cuda":
        raise InputError(
            f"precision: found '16-mixed', but this run computes on the {device.type.upper()}, "
            "and float16 needs a GPU; allowed here are 'auto', '32-true' and 'bf16-mixed'"
        )
    return wanted


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # not in torch 2.10
    return bool(capabilities is not None and capabilities().get("amx_bf16"))
