"""Runs that are killed at random moments, and whether they go on to the same bits.

    python benchmarks/kills.py [--kills 50] [--base BASE --images DIR --labels DIR] [--seed 0]

The script trains once without interruption, and then again and again: each run is killed (SIGKILL)
after a random time, and goes on with `--resume`, until it ends. After each kill the newest
checkpoint and the adapter, if there are any, must be whole. At the end of each run the adapter must
be that of the first, bit by bit, and the log too, but for its times. All on one thread. Without a
base it takes a random one of two blocks and a simulated image. The time is about that of
`kills / 2` uninterrupted runs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SETTINGS = """
epochs = 8
steps_per_epoch = 4
accumulate = 2
n_objects = 3
n_sub_iteration = 2
search_ais = false
validation_tasks = ["box"]
ema_decay = 0.9
"""

PROGRAM = (sys.executable, "-c", "import sys; from samzoo.zoo.cli import main; sys.exit(main())")


def main() -> None:
    """Print what was killed, what went on, and whether all ended alike."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--config", type=Path, help="default: eight epochs of four steps")
    parser.add_argument("--method", default="lora")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        print(report(options, Path(work)))


def report(options: argparse.Namespace, work: Path) -> str:
    """Train once, then kill and resume until there were enough kills."""
    words = command(options, work)
    start = time.monotonic()
    done = subprocess.run([*words, "-o", str(work / "whole")], env=one_thread(), check=False)
    if done.returncode:
        raise SystemExit(f"the uninterrupted run ended with {done.returncode}")
    whole = time.monotonic() - start
    rng = random.Random(options.seed)
    kills = resumes = runs = 0
    without = 0  # kills before there was anything to resume
    while kills < options.kills:
        runs += 1
        output = work / f"run{runs}"
        while True:
            resumed = (output / "checkpoints").is_dir() and any((output / "checkpoints").iterdir())
            if not resumed:
                shutil.rmtree(output, ignore_errors=True)
            resumes += resumed
            until = rng.uniform(0, whole) if kills < options.kills else None
            if not killed([*words, "-o", str(output), *(["--resume"] if resumed else [])], until):
                break
            kills += 1
            without += not whole_files(output)
            print(f"kill {kills} after {until:.1f} s", file=sys.stderr)
        compare(work / "whole", output)
        shutil.rmtree(output)
    return (
        f"{kills} kills, {resumes} resumes, {runs} runs; in {without} there was no checkpoint yet; "
        f"all ended with the same adapter and log. An uninterrupted run took {whole:.0f} s."
    )


def command(options: argparse.Namespace, work: Path) -> list[str]:
    """Return the command line without its output, and write what it needs."""
    if (options.images is None) != (options.labels is None):
        raise SystemExit("--images and --labels belong together")
    config = options.config or work / "settings.toml"
    if options.config is None:
        config.write_text(SETTINGS, encoding="utf-8")
    base = options.base or small_base(work)
    images, labels = options.images, options.labels
    if images is None:
        images, labels = simulated_pair(work)
    return [
        *PROGRAM, "train", "--images", str(images), "--labels", str(labels), "--base", str(base),
        "--config", str(config), "--method", options.method, "--seed", str(options.seed),
    ]  # fmt: skip


def small_base(work: Path) -> Path:
    """Write a base of two blocks with random weights."""
    from adapters import write_base
    from vit import ARCHITECTURES

    from samzoo.runtime.formats.families.vit import VitConfig

    ARCHITECTURES["small"] = VitConfig(
        image_size=64, patch_size=8, embed_dim=32, depth=2, num_heads=2, window_size=3,
        global_attn_indexes=(1,),
    )  # fmt: skip
    write_base("small", work / "base")
    return work / "base"


def simulated_pair(work: Path) -> tuple[Path, Path]:
    """Write an image of nuclei and its labels."""
    import tifffile
    from simulated_nuclei import nuclei

    image, labels = nuclei(128, 40)
    tifffile.imwrite(work / "image.tif", image)
    tifffile.imwrite(work / "labels.tif", labels.astype("uint16"))
    return work / "image.tif", work / "labels.tif"


def killed(words: list[str], until: float | None) -> bool:
    """Run a command, and kill it after some seconds; false if it had ended before, as it should."""
    process = subprocess.Popen(words, env=one_thread(), stderr=subprocess.PIPE, text=True)
    try:
        _, told = process.communicate(timeout=until)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    if process.returncode:
        raise SystemExit(f"a run that was not killed ended with {process.returncode}: {told}")
    return False


def one_thread() -> dict[str, str]:
    """Return an environment in which sums do not depend on the number of cores."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def whole_files(output: Path) -> bool:
    """Read the newest checkpoint and the adapter; false if there is no checkpoint yet."""
    from samzoo.runtime.errors import NotFoundError
    from samzoo.training import read_adapter
    from samzoo.training.fit.readiness import LAST, PREVIOUS
    from samzoo.training.fit.state import newest_state

    if (output / "adapter_config.json").is_file():
        read_adapter(output)
    try:
        newest_state([output / LAST, output / PREVIOUS])
    except NotFoundError:
        return False
    return True


def compare(whole: Path, output: Path) -> None:
    """Stop if two runs differ in their adapter, or in their log but for its times."""
    name = "adapter_model.safetensors"
    if (whole / name).read_bytes() != (output / name).read_bytes():
        raise SystemExit(f"{output}: another adapter than without interruption")
    if lines(whole) != lines(output):
        raise SystemExit(f"{output}: another log than without interruption")


def lines(output: Path) -> list[dict[str, Any]]:
    """Return a run's log without its times; an epoch that was repeated counts once."""
    from samzoo.training.fit.curves import read_log

    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in read_log(output / "log.jsonl")
    ]


if __name__ == "__main__":
    main()
