"""Make `four_bit.npz`, the golden file for 4-bit quantization; run by hand.

It needs torch and bitsandbytes; see README.md beside this file for the versions. Weights come from
fixed seeds, everything else from calls into bitsandbytes on a CPU:

1. `functional.quantize_4bit(weight, compress_statistics=True, quant_type=...)` with its default
   block size of 64 gives the packed codes and the quantization state.
2. The state's packed form (`QuantState.as_dict(packed=True)`) is what a checkpoint holds beside the
   weight, under these names.
3. The dequantized weight is that of the library's own reference implementation in torch
   (`backends.default.ops`): in 0.50.2 the compiled kernel takes the wrong scales on processors
   with AVX-512 where a row is no multiple of 64 values.

`levels` are the 256 values of `create_dynamic_map()`. `scales` are the float32 values of
`quantize_blockwise(scales, blocksize=256)`'s input that give `scale_codes` and `scale_absmax`:
many of them, since the kernel's rounding of ties is its own.
"""

import argparse
from pathlib import Path

import bitsandbytes.functional as bnb
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

SHAPES = {"whole": (24, 64), "short_rows": (10, 48), "rest": (5, 26), "odd": (3, 7), "one": (1, 1),
          "nested": (104, 160)}  # fmt: skip


def make_weight(name, shape, rng):
    # Of few bits, so that the file stays small; many are ties between two levels.
    weight = (np.round(rng.standard_normal(shape) * 64) / 4096).astype("float32")
    if name == "whole":
        weight[3:5] = 0  # two blocks of zeros
    if name == "rest":
        weight.reshape(-1)[128:] = 0  # a last, shorter block of zeros
    return weight


def main():
    parser = argparse.ArgumentParser(description="Make four_bit.npz.")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).resolve().parent)
    output = parser.parse_args().output
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    arrays = {"levels": bnb.create_dynamic_map().numpy()}
    for name, shape in SHAPES.items():
        weight = make_weight(name, shape, rng)
        arrays[f"{name}/weight"] = weight
        for kind in ("fp4", "nf4"):
            packed, state = bnb.quantize_4bit(
                torch.from_numpy(weight), compress_statistics=True, quant_type=kind
            )
            arrays[f"{name}/{kind}/packed"] = packed.numpy()
            for key, value in state.as_dict(packed=True).items():
                arrays[f"{name}/{kind}/state/{key}"] = value.numpy()
            scales = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
            if name == "nested":  # two thirds of the file, and nothing that the others lack
                continue
            arrays[f"{name}/{kind}/dequantized"] = _dequantize_4bit_compute(
                packed.reshape(-1), scales, state.code, 64, shape, torch.float32
            ).numpy()
    scales = torch.from_numpy(rng.standard_normal(256 * 24 + 40).astype("float32"))
    codes, state = bnb.quantize_blockwise(scales, blocksize=256)
    arrays["scales"] = scales.numpy()
    arrays["scale_codes"], arrays["scale_absmax"] = codes.numpy(), state.absmax.numpy()
    path = output / "four_bit.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
