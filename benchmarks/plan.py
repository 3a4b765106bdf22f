"""Peak memory of training as `samzoo plan` says it, and as it is measured, for each method.

    python benchmarks/plan.py [BASE...] [--methods NAME...] [--steps 2] [--kept]

Each row trains a few steps in a process of its own, which returns freed memory to the system as the
plan assumes, or with `--kept` keeps it as a run does. The peak is the largest resident memory that
Linux reports. Seconds are of the last step: processor time, so that other work disturbs little,
beside the plan's estimate. Without a base there are two: a TinyViT of LiteMedSAM's size and a ViT-B
at 512 pixels, with random weights.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MMAP_THRESHOLD = "1048576"
"""Blocks of a megabyte or more are mapped by themselves, so that freeing one returns it."""

ENCODERS = ("tiny_vit", "vit_b_512")


def main() -> None:
    """Print the table, a row for each method and base."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bases", nargs="*", type=Path)
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--ais-decoder", choices=("light", "unetr", "none"), default="light")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kept", action="store_true", help="keep freed memory, as a run does")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measured(options, options.bases[0], options.one)))
        return
    from samzoo.training.methods import METHODS

    with tempfile.TemporaryDirectory() as work:
        bases = options.bases or [write_random(Path(work), name) for name in ENCODERS]
        print("| base | method | planned GB | measured GB | | planned s | processor s | s |")
        print("|---|---|---|---|---|---|---|---|")
        for base in bases:
            for method in options.methods or METHODS:
                print(row(options, base, method), flush=True)


def row(options: argparse.Namespace, base: Path, method: str) -> str:
    """Measure one method in a process of its own, and set the plan beside it."""
    from samzoo.runtime.formats.config import ModelConfig
    from samzoo.training.planning.forecast import forecast_of
    from samzoo.training.planning.machine import this_machine

    planned = forecast_of(
        ModelConfig.read(base / "config.json"), method, settings(options), this_machine()
    )
    flags = [
        *("--rounds", str(options.rounds), "--steps", str(options.steps)),
        *("--ais-decoder", options.ais_decoder, *(["--kept"] if options.kept else [])),
    ]
    environment = dict(os.environ)
    if not options.kept:
        environment["MALLOC_MMAP_THRESHOLD_"] = MMAP_THRESHOLD
    done = subprocess.run(
        [sys.executable, __file__, str(base), *flags, "--one", method],
        env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    gigabytes = planned.memory / 2**30, found["peak"] / 2**30
    return (
        f"| {base.name} | `{method}` | {gigabytes[0]:.2f} | {gigabytes[1]:.2f} | "
        f"{gigabytes[0] / gigabytes[1] - 1:+.0%} | {planned.seconds or 0:.1f} | "
        f"{found['processor'][-1]:.1f} | {found['seconds'][-1]:.1f} |"
    )


def settings(options: argparse.Namespace) -> Any:
    """Return the settings of a row: the preset `laptop` with few rounds."""
    import dataclasses

    from samzoo.training.config import TrainConfig

    config = dataclasses.replace(
        TrainConfig.read("laptop").with_ais_decoder(options.ais_decoder),
        epochs=1, steps_per_epoch=options.steps, n_sub_iteration=options.rounds, learned_rounds=0,
        corrections_after=0.0, recompute_blocks=False, search_ais=False,
    )  # fmt: skip
    return dataclasses.replace(config, validation_tasks=("box",))


def measured(options: argparse.Namespace, base: Path, method: str) -> dict[str, Any]:
    """Train some steps in this process, without validation; returns peak and times."""
    import resource
    import time

    from simulated_nuclei import nuclei

    from samzoo.training.data.annotated import Annotated
    from samzoo.training.fit import run as module

    if not options.kept:
        module.keep_freed_memory = lambda: False
    pairs = [nuclei(256, 40, seed) for seed in range(2)]
    images = [Annotated(*pair, f"{index}") for index, pair in enumerate(pairs)]
    with tempfile.TemporaryDirectory() as output:
        run = module.Run(base, images[:1], images[1:], method, settings(options), Path(output))
        times: dict[str, list[float]] = {"seconds": [], "processor": []}
        for _ in range(options.steps):
            starts = time.monotonic(), time.process_time()
            run.step()
            times["seconds"].append(time.monotonic() - starts[0])
            times["processor"].append(time.process_time() - starts[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"peak": peak, **times}


def write_random(folder: Path, name: str) -> Path:
    """Write a base with random weights."""
    from adapters import write_base
    from vit import ARCHITECTURES

    from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
    from samzoo.runtime.formats.families.vit import VitConfig

    ARCHITECTURES.setdefault("tiny_vit", TinyVitConfig())  # type: ignore[arg-type]
    ARCHITECTURES.setdefault(
        "small",  # for trying the scripts
        VitConfig(image_size=256, embed_dim=48, depth=4, num_heads=3, global_attn_indexes=(1, 3)),
    )  # fmt: skip
    write_base(name, folder / name)
    return folder / name


if __name__ == "__main__":
    main()
