"""The light AIS decoder against micro-sam's UNETR, both trained on the same embeddings.

    python benchmarks/ais_decoders.py [--steps 150] [--seeds 0 1] [-o RESULTS.json]

Both learn from embeddings of the shipped model's encoder on the two training quadrants, mirrored
and turned, with the same loss, crops and number of steps. Thresholds are searched on the
validation quadrant; the test quadrant is only measured. The script needs the `dev` extra. A step
of UNETR takes seconds, so it runs for an hour or more on two cores. Finished runs in RESULTS.json
are kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from samzoo.runtime import Model, read_image, read_labels
from samzoo.runtime.automatic.ais import segment_from_maps
from samzoo.runtime.automatic.maps import decode_maps
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy
from samzoo.runtime.formats.architecture import LightDecoderConfig, UnetrDecoderConfig
from samzoo.runtime.formats.config import AisParameters
from samzoo.training import read_annotated
from samzoo.training.data.crops import CropSampler
from samzoo.training.data.samples import prepare
from samzoo.training.fit.thresholds import search_thresholds
from samzoo.training.learning.objectives import distance_loss
from samzoo.training.networks.ais_decoder import build_ais_decoder
from samzoo.zoo import load

EXAMPLES = Path(__file__).parent.parent / "examples"
TOKENS = 32
"""Side of a training crop on the grid; with the whole grid a step of UNETR takes 20 s."""

VARIANTS = (
    ("light", 3e-3, 1),
    ("light", 3e-3, 8),
    ("unetr", 1e-3, 1),
    ("unetr", 3e-4, 1),
)
"""Decoder, learning rate, and factor on the number of steps."""


def main() -> None:
    """Train the decoders that RESULTS.json lacks, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("-o", "--output", type=Path, default=Path("ais_decoders.json"))
    options = parser.parse_args()
    done: list[dict[str, Any]] = []
    if options.output.exists():
        done = json.loads(options.output.read_text(encoding="utf-8"))
    model = load()
    crops = training_crops(model)
    for seed in options.seeds:
        for kind, rate, times in VARIANTS:
            key = {"decoder": kind, "rate": rate, "steps": times * options.steps, "seed": seed}
            if any(row.items() >= key.items() for row in done):
                continue
            decoder, seconds = train(kind, rate, key["steps"], seed, crops)
            done.append({**key, "seconds": seconds, **measure(model, decoder)})
            print(json.dumps(done[-1]), flush=True)
            options.output.write_text(json.dumps(done, indent=1), encoding="utf-8")
    print("| decoder | parameters | learning rate | steps | seed | seconds | validation | test |")
    print("|---|---|---|---|---|---|---|---|")
    for row in done:
        parameters = sum(p.numel() for p in make(row["decoder"], 0).parameters()) / 1e6
        print(
            f"| {row['decoder']} | {parameters:.2f} M | {row['rate']:g} | {row['steps']} "
            f"| {row['seed']} | {row['seconds']:.0f} | {row['val']:.3f} | {row['test']:.3f} |"
        )


def make(kind: str, seed: int) -> torch.nn.Module:
    """Make a decoder with fresh weights."""
    torch.manual_seed(seed)
    return build_ais_decoder(LightDecoderConfig() if kind == "light" else UnetrDecoderConfig())


def training_crops(model: Model) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return embeddings and targets of all windows of the training quadrants, in 8 positions."""
    samples = [
        prepare(annotated, model.config.preprocessing, model.config.image_size)
        for annotated in read_annotated(EXAMPLES / "train/images", EXAMPLES / "train/labels")
    ]
    sampler = CropSampler(
        samples,
        side=model.config.image_size,
        augmentation="dihedral",
        rng=np.random.default_rng(0),
    )
    sampler.fix(4)
    found: dict[tuple[int, int, int, int], tuple[torch.Tensor, torch.Tensor]] = {}
    while len(found) < sampler.n_fixed:
        crop = sampler.draw()
        if crop.key not in found:
            embeddings = torch.from_numpy(model.networks.encode(crop.image))
            found[crop.key] = embeddings, torch.from_numpy(np.array(crop.targets))[None]
    return [found[key] for key in sorted(found)]


def train(
    kind: str,
    rate: float,
    steps: int,
    seed: int,
    crops: list[tuple[torch.Tensor, torch.Tensor]],
) -> tuple[torch.nn.Module, float]:
    """Train a fresh decoder with AdamW and a cosine; return it and the seconds."""
    decoder = make(kind, seed).train()
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=rate)
    start = time.perf_counter()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)
        embeddings, target = crops[rng.integers(len(crops))]
        pixels = target.shape[-1] // embeddings.shape[-1]
        y, x = (int(rng.integers(size - TOKENS + 1)) for size in embeddings.shape[-2:])
        maps = decoder(embeddings[..., y : y + TOKENS, x : x + TOKENS])
        side = TOKENS * pixels
        wanted = target[..., y * pixels : y * pixels + side, x * pixels : x * pixels + side]
        if maps.shape[-1] != side:
            maps = torch.nn.functional.interpolate(
                maps, size=(side, side), mode="bilinear", align_corners=False
            )
        optimizer.zero_grad()
        distance_loss(maps[..., : wanted.shape[-2], : wanted.shape[-1]], wanted).backward()
        optimizer.step()
    return decoder.eval(), time.perf_counter() - start


class Decoder:
    """A decoder in torch, as far as ``decode_maps`` needs one."""

    def __init__(self, decoder: torch.nn.Module) -> None:
        self._decoder = decoder

    def decode_ais(self, image_embeddings: Any) -> Any:
        """Return the AIS maps."""
        with torch.inference_mode():
            return self._decoder(torch.from_numpy(image_embeddings)).numpy()


def measure(model: Model, decoder: torch.nn.Module) -> dict[str, Any]:
    """Search thresholds on the validation quadrant; return mSA there and on the test quadrant."""
    maps, labels = {}, {}
    for split in ("val", "test"):
        (path,) = (EXAMPLES / split / "images").iterdir()
        labels[split] = read_labels(EXAMPLES / split / "labels" / path.name)
        embeddings = model.embed_tiles(read_image(path))
        maps[split] = decode_maps(Decoder(decoder), model.config, embeddings)  # type: ignore[arg-type]
    chosen, score = search_thresholds([maps["val"]], [labels["val"]], AisParameters())
    found = segment_from_maps(*maps["test"], parameters=chosen)
    test = mean_segmentation_accuracy(found, labels["test"])["msa"]
    return {"val": score, "test": test, "ais": dataclasses.asdict(chosen)}


if __name__ == "__main__":
    main()
