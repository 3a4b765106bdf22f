"""From an image to labels: AIS by samzoo and by micro-sam, with a random ViT-B.

    python benchmarks/ais.py [--runs 3] [--work WORK]

Both run micro-sam's AIS decoder with the same weights; then samzoo runs the light decoder, at 1024
and at 512 pixels. The script needs micro-sam and the `dev` extra, see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from racing import race, table
from vit import make_sam

from samzoo.runtime.formats.architecture import (
    AisDecoderConfig,
    LightDecoderConfig,
    UnetrDecoderConfig,
)
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.files import write_json, write_tensors

DECODERS: dict[str, AisDecoderConfig] = {
    "unetr": UnetrDecoderConfig(),
    "light": LightDecoderConfig(),
}

MICRO_SAM = "micro-sam"


def main() -> None:
    """Print a table for each package of samzoo, beside micro-sam."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "samzoo-ais")
    options = parser.parse_args()
    print(report(options.work, options.runs))


def report(work: Path, runs: int) -> str:
    """Race all packages of samzoo with micro-sam."""
    models = [("vit_b", "unetr"), ("vit_b", "light"), ("vit_b_512", "light")]
    for arch, decoder in models:
        make_package(arch, decoder, work)
    contenders = {
        f"samzoo {arch} {decoder}": partial(ours, work / f"{arch}_{decoder}")
        for arch, decoder in models
    }
    results = race(
        {MICRO_SAM: partial(micro_sam, work / "micro_sam.pt"), **contenders},
        runs,
    )
    return table(results, against=MICRO_SAM)


def make_package(arch: str, decoder: str, work: Path) -> None:
    """Export a random model and, once, its checkpoint for micro-sam, unless they exist."""
    import torch

    from samzoo.training.networks.sam import Sam, weights_of
    from samzoo.zoo import export, write_checkpoint

    package = work / f"{arch}_{decoder}"
    if (package / "samzoo.json").exists():
        return
    plain = make_sam(arch)
    architecture = dataclasses.replace(plain.config.architecture, ais_decoder=DECODERS[decoder])
    torch.manual_seed(0)
    # The smaller network sees the whole image at half its size, not four tiles of it.
    scale = 0.5 if arch == "vit_b_512" else None
    config = dataclasses.replace(
        plain.config, architecture=architecture, preprocessing=Preprocessing(scale=scale)
    )
    sam = Sam(config)
    sam.load_state_dict({**sam.state_dict(), **plain.state_dict()})
    tensors = weights_of(sam)
    config = dataclasses.replace(sam.config, weights_digest=weights_digest(tensors))
    model = work / f"{arch}_{decoder}_model"
    model.mkdir(parents=True, exist_ok=True)
    write_tensors(model / "model.safetensors", tensors, {"format": "pt"})
    write_json(model / "config.json", config.to_json())
    if (arch, decoder) == ("vit_b", "unetr"):
        write_checkpoint(model, work / "micro_sam.pt", to="micro-sam", force=True)
    export(model, package, force=True)


def image() -> Any:
    """Return a random image, ``(1024, 1024)`` uint8."""
    return np.random.default_rng(0).integers(0, 256, (1024, 1024), dtype=np.uint8)


def ours(package: Path) -> Callable[[], object]:
    """Load a package, and return a function that segments the image with it."""
    from samzoo.runtime import load

    model, pixels = load(package), image()
    return lambda: model.segment(pixels)


def micro_sam(checkpoint: Path) -> Callable[[], object]:
    """Load micro-sam with its own decoder, and return a function that segments the image."""
    from micro_sam.instance_segmentation import (
        InstanceSegmentationWithDecoder,
        get_predictor_and_decoder,
    )

    predictor, decoder = get_predictor_and_decoder(
        model_type="vit_b", checkpoint_path=checkpoint, device="cpu"
    )
    pixels = image()

    def run() -> object:
        segmenter = InstanceSegmentationWithDecoder(predictor, decoder)
        segmenter.initialize(pixels)
        labels = segmenter.generate(output_mode="instance_segmentation")
        return labels

    return run


if __name__ == "__main__":
    main()
