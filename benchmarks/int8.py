"""The cost of fewer bits: quality, seconds and megabytes of a package by precision.

    python benchmarks/int8.py --model MODEL [--runs 5] [--work WORK]

MODEL is a model folder. The script exports it at every precision. As experiments it adds encoders
with integer products whose input scales are fixed beforehand on the training quadrants (static),
once by the largest values and once by 99.99 % of them. It evaluates each on the validation
quadrant and times its encoder. It needs the `dev` extra.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from racing import alternate

from samzoo.runtime import Model, evaluate, load, read_image
from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.engine.networks import RememberedEncoder
from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.runtime.formats.files import read_json, sha256_of, write_json
from samzoo.runtime.formats.manifest import MANIFEST_FILE, PRECISIONS
from samzoo.runtime.labels.pairs import match_pairs
from samzoo.zoo import export

EXAMPLES = Path(__file__).parent.parent / "examples"
STATIC = {"static, largest value": "MinMax", "static, 99.99 %": "Percentile"}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "samzoo-int8")
    options = parser.parse_args()
    packages = {}
    for precision in PRECISIONS:
        packages[precision] = options.work / precision
        if not packages[precision].exists():
            export(options.model, packages[precision], precision=precision)
    for name, method in STATIC.items():
        packages[name] = options.work / method
        if not packages[name].exists():
            make_static(packages["fp32"], packages[name], method)
    models = {name: load(path) for name, path in packages.items()}
    side = next(iter(models.values())).config.image_size
    image = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
    times = alternate(
        {name: partial(model.networks.encode, image) for name, model in models.items()},
        options.runs,
    )
    print(f"| precision | encoder, s | MB | embeddings, off by | {' | '.join(TASKS)} |")
    print("|---|---|---|---|" + "---|" * len(TASKS))
    exact = models["fp32"].networks.encode(image)
    for name, model in models.items():
        found = model.networks.encode(image)
        distance = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        megabytes = sum(f.stat().st_size for f in packages[name].glob("onnx/*.onnx")) / 1e6
        scores = quality(model, options.split)
        print(
            f"| {name} | {statistics.median(times[name]):.3f} ({min(times[name]):.3f} to "
            f"{max(times[name]):.3f}) | {megabytes:.1f} | {distance:.4f} | "
            + " | ".join(f"{scores[task]:.3f}" for task in TASKS)
            + " |",
            flush=True,
        )


def quality(model: Model, split: str) -> dict[str, float]:
    """Return the mean mSA by task on a quadrant."""
    pairs = match_pairs(EXAMPLES / split / "images", EXAMPLES / split / "labels")
    model = Model(model.config, RememberedEncoder(model.networks))
    report = evaluate(model, pairs, tasks=list(TASKS), seed=0, min_object_size=20)
    return {task: float(report["mean"][task]["msa"]) for task in TASKS}


def make_static(source: Path, package: Path, method: str) -> None:
    """Copy a float32 package with an encoder whose scales are calibrated beforehand."""
    import shutil

    quantization = import_onnxruntime("onnxruntime.quantization")
    shutil.copytree(source, package)
    encoder = package / "onnx" / "encoder.onnx"
    quantization.quantize_static(
        source / "onnx" / "encoder.onnx",
        encoder,
        Tiles(source),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=quantization.CalibrationMethod[method],
        extra_options={"MatMulConstBOnly": True, "CalibPercentile": 99.99},
    )
    manifest = read_json(package / MANIFEST_FILE)
    for entry in manifest["files"]:
        if entry["path"] == "onnx/encoder.onnx":
            entry.update(size=encoder.stat().st_size, sha256=sha256_of(encoder))
    write_json(package / MANIFEST_FILE, manifest)


class Tiles:
    """Encoder inputs of the training quadrants, one by one, for onnxruntime's calibration."""

    def __init__(self, package: Path) -> None:
        self._inputs = self._read(package)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input by name, None at the end."""
        return next(self._inputs, None)

    @staticmethod
    def _read(package: Path) -> Iterator[dict[str, Any]]:
        model = load(package)
        seen: list[Any] = []

        class Recorder:
            def encode(self, image: Any) -> Any:
                seen.append(np.ascontiguousarray(image, np.float32))
                return np.zeros((1, 256, model.config.grid, model.config.grid), np.float32)

        recording: Any = Recorder()
        for path in sorted((EXAMPLES / "train" / "images").iterdir()):
            Model(model.config, recording).embed_tiles(read_image(path))
        yield from ({"input_image": image} for image in seen)


if __name__ == "__main__":
    main()
