"""Adapters over one encoder against the same models merged, and the time of a switch.

    python benchmarks/adapters.py [--runs 5] [--arch vit_b] [--work WORK]

The script writes two LoRA adapters with random factors over a random base. It exports both over
one encoder and the first as a merged model, and races the encoders. It needs the `dev` extra.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from racing import race, table
from vit import ARCHITECTURES, make_sam, random_image

ADAPTERS: dict[str, dict[str, Any]] = {
    "wide": {"rank": 32, "matrices": ["q", "k", "v", "mlp"], "scale": 1.0, "blocks": None},
    "late": {"rank": 8, "matrices": ["q", "v"], "scale": 1.0, "blocks": "late"},
}
SWITCHES = 50


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--arch", default="vit_b", choices=ARCHITECTURES)
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "samzoo-adapters"
    )
    options = parser.parse_args()
    print(report(options.arch, options.work, options.runs))


def report(arch: str, work: Path, runs: int) -> str:
    """Race the encoders, time the switches, add up the files."""
    folder = work / arch
    make_packages(arch, folder)
    side = ARCHITECTURES[arch].image_size
    results = race(
        {
            "merged": partial(encoder, folder / "merged", None, side),
            "shared, wide": partial(encoder, folder / "shared", "wide", side),
            "shared, late": partial(encoder, folder / "shared", "late", side),
        },
        runs,
        keep_values=True,
    )
    expected, found = results["merged"].value, results["shared, wide"].value
    error = np.abs(found - expected).max() / np.abs(expected).max()
    return "\n".join(
        [
            table(results, against="merged"),
            "",
            f"Difference of the shared encoder with `wide` from the merged one: {error:.1e} of the "
            "largest value.",
            "",
            *switching(folder / "shared"),
            "",
            *sizes(folder),
        ]
    )


def make_packages(arch: str, folder: Path) -> None:
    """Write the base, the adapters and both packages, unless they exist."""
    if (folder / "merged").exists() and (folder / "shared").exists():
        return
    from samzoo.zoo import export, export_shared

    folder.mkdir(parents=True, exist_ok=True)
    base = folder / "base"
    if not base.exists():
        write_base(arch, base)
    adapters = {name: folder / name for name in ADAPTERS}
    for seed, (name, path) in enumerate(adapters.items()):
        if not path.exists():
            write_random_adapter(path, base, ADAPTERS[name], seed)
    export(adapters["wide"], folder / "merged", base=base, force=True)
    export_shared(adapters, folder / "shared", base=base, force=True)


def write_base(arch: str, folder: Path) -> None:
    """Write a base folder with random weights."""
    from samzoo.runtime.formats.digest import weights_digest
    from samzoo.runtime.formats.files import write_json, write_tensors
    from samzoo.training.networks.sam import weights_of

    sam = make_sam(arch)
    tensors = weights_of(sam)
    folder.mkdir()
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    config = dataclasses.replace(sam.config, weights_digest=weights_digest(tensors))
    write_json(folder / "config.json", config.to_json())


def write_random_adapter(folder: Path, base: Path, settings: dict[str, Any], seed: int) -> None:
    """Write a LoRA adapter whose factors are random, none of them zero."""
    from samzoo.runtime.formats.adapter import AdapterConfig, adapter_tensors, write_adapter
    from samzoo.runtime.formats.fields import to_json
    from samzoo.runtime.formats.folders import read_model_folder
    from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
    from samzoo.training.methods import get_method

    config, tensors = read_model_folder(base)
    method, prefix = get_method("lora"), ENCODER_PREFIX
    read = method.resolved(method.settings(settings), config.architecture)
    shapes = {n.removeprefix(prefix): v.shape for n, v in tensors.items() if n.startswith(prefix)}
    rng = np.random.default_rng(seed)
    factors = {
        prefix + name: (0.05 * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in method.trainable(shapes, config.architecture, read).items()
    }
    folder.mkdir()
    write_adapter(
        folder,
        AdapterConfig(
            method="lora", hyperparameters=to_json(read), base_digest=config.weights_digest,
            base_path=str(base), architecture=config.architecture,
            preprocessing=config.preprocessing, ais=config.ais,
        ),
        {**factors, **adapter_tensors(tensors, set())},
    )  # fmt: skip


def encoder(package: Path, adapter: str | None, side: int) -> Callable[[], object]:
    """Return a package's encoder as the runtime runs it."""
    from samzoo.runtime import load

    model = load(package)
    if adapter is not None:
        model.use(adapter)
    pixels = random_image(side)
    model.networks.encode(pixels)
    return lambda: model.networks.encode(pixels)


def switching(package: Path) -> list[str]:
    """Time ``use``, and the reading of the factors at an adapter's first image."""
    from samzoo.runtime import load

    model = load(package)
    reading = {}
    for name in ADAPTERS:
        model.use(name)
        networks: Any = model.networks
        networks.encoder.factor_shapes()  # loads the encoder, which all of them share
        reading[name] = _seconds(networks.factors)
    names = list(ADAPTERS) * SWITCHES
    switches = [_seconds(partial(model.use, name)) for name in names]
    read = ", ".join(f"{1e3 * seconds:.0f} ms ({name})" for name, seconds in reading.items())
    return [
        f"Switching, {len(switches)} times: median {1e3 * statistics.median(switches):.4f} ms, "
        f"longest {1e3 * max(switches):.4f} ms. The first image of an adapter also reads and "
        f"checks its factors: {read}."
    ]


def _seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def sizes(folder: Path) -> list[str]:
    """Return a table of the packages' files in megabytes."""
    lines = ["| file | MB |", "|---|---|"]
    for package in ("merged", "shared"):
        files = sorted((folder / package).rglob("*.onnx*"))
        lines += [
            f"| {package}/{path.relative_to(folder / package)} | {path.stat().st_size / 1e6:.1f} |"
            for path in files
        ]
        lines.append(f"| {package} | {sum(path.stat().st_size for path in files) / 1e6:.1f} |")
    return lines


if __name__ == "__main__":
    main()
