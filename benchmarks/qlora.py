"""The weights to fold a QLoRA adapter into: the paper's open question, on real data.

    python benchmarks/qlora.py --base BASE --work WORK [--seeds 0 1 2]

The script finetunes LiteMedSAM with LoRA and with QLoRA (FP4, NF4) on the default model's two
training quadrants, with the same steps and seeds. It then scores each adapter on the test quadrant
in every way in which the adapter can be used. AIS thresholds and checkpoints are chosen on the
validation quadrant. Finished runs and scores in WORK are kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from samzoo.runtime import Model, ModelConfig, read_image, read_labels
from samzoo.runtime.engine.networks import RememberedEncoder
from samzoo.runtime.evaluation.scoring import evaluate_image
from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.runtime.formats.prefixes import DECODER_PREFIXES
from samzoo.training import TorchNetworks, TrainConfig, read_adapter, read_annotated, train
from samzoo.training.networks.adapter_network import adapted
from samzoo.training.networks.sam import Sam, load_weights
from samzoo.zoo.merging.folding import merged

HERE = Path(__file__).parent
DATA = HERE.parent / "examples"
METHODS = ("lora", "fp4", "nf4")
OF_THE_BASE = DECODER_PREFIXES
"""Finetuned weights that the reference's export takes from the base instead."""


def main() -> None:
    """Train and score the adapters that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    options = parser.parse_args()
    scores = {
        (method, seed): run(options.base, options.work, method, seed)
        for seed, method in product(options.seeds, options.methods)
    }
    print(table(scores, options.methods, options.seeds))


def run(base: Path, work: Path, method: str, seed: int) -> dict[str, Any]:
    """Train one adapter and score all its uses, unless an earlier call did."""
    folder, report = work / f"{method}_{seed}", work / f"{method}_{seed}.json"
    if not (folder / "adapter_config.json").is_file():
        config = TrainConfig.read(str(HERE / "qlora.toml"))
        numbers = dict(config.hyperparameters)
        if method != "lora":
            numbers["quantization"] = method
        train(
            base=base,
            train_data=read_annotated(DATA / "train/images", DATA / "train/labels"),
            val_data=read_annotated(DATA / "val/images", DATA / "val/labels"),
            method="lora" if method == "lora" else "qlora",
            config=dataclasses.replace(config, seed=seed, hyperparameters=numbers),
            output=folder,
            resume=folder.exists(),
        )
    if not report.is_file():
        write_json(report, {way: score(make()) for way, make in uses(base, folder, method).items()})
    return read_json(report)


def uses(base: Path, adapter: Path, method: str) -> dict[str, Callable[[], Sam]]:
    """Return every way to run an adapter."""
    if method == "lora":
        return {"merged": lambda: built(*merged(adapter, base=base))}
    return {
        "4-bit, not merged": lambda: adapted(*read_model_folder(base), *read_adapter(adapter)),
        "merged into dequantized": lambda: built(
            *merged(adapter, base=base, qlora_base="dequantized")
        ),
        "merged into original": lambda: built(*merged(adapter, base=base, qlora_base="original")),
        "reference's export": lambda: lossy(base, adapter),
    }


def built(config: ModelConfig, tensors: Tensors) -> Sam:
    """Build a network from a merged model in memory."""
    sam = Sam(config)
    load_weights(sam, tensors, where="merged model")
    return sam.eval()


def lossy(base: Path, adapter: Path) -> Sam:
    """Export as peft-sam and micro-sam 1.8.14: factors on the original base, the base's decoders.

    Source: micro-sam 1.8.14, ``util.export_custom_qlora_model``. The AIS decoder is kept there.
    """
    config, tensors = merged(adapter, base=base, qlora_base="original")
    before = read_model_folder(base)[1]
    kept = {name: before[name] for name in tensors if name.startswith(OF_THE_BASE)}
    return built(config, {**tensors, **kept})


def score(sam: Sam) -> dict[str, float]:
    """Return the mSA of all tasks on the test quadrant."""
    model = Model(sam.config, RememberedEncoder(TorchNetworks(sam)))
    name = "bottom_right.tif"
    scores = evaluate_image(
        model,
        read_image(DATA / "test/images" / name),
        read_labels(DATA / "test/labels" / name),
    )
    return {task: scores[task]["msa"] for task in TASKS}


def table(scores: dict[tuple[str, int], Any], methods: Sequence[str], seeds: Sequence[int]) -> str:
    """Return a Markdown table: the mean over seeds, and each seed's value."""
    lines = ["| method | used as | " + " | ".join(TASKS) + " | mean |", "|" + "---|" * 8]
    for method in methods:
        for way in scores[method, seeds[0]]:
            cells = []
            for task in TASKS:
                values = [scores[method, seed][way][task] for seed in seeds]
                spread = ", ".join(f"{value:.3f}" for value in values)
                cells.append(f"{statistics.mean(values):.3f} ({spread})")
            mean = statistics.mean(
                scores[method, seed][way][task] for seed, task in product(seeds, TASKS)
            )
            lines.append(f"| {method} | {way} | " + " | ".join(cells) + f" | {mean:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
