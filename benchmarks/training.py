"""A training step of each method, in samzoo and in micro-sam's own trainer.

    python benchmarks/training.py [--methods NAME...] [--ais-decoder unetr light] [--steps 3]
        [--micro-sam PYTHON] [--arch vit_b] [--objects 5] [--rounds 8]

Each row is a process of its own: a random ViT on one simulated image, no validation. It prints
the seconds of the first step and the median of the later ones, the later ones split into the
encoder, the prompt rounds with their gradients, the AIS decoder with its gradients, and the way
back through the encoder, and the peak of the process' memory. With `--micro-sam` (the Python of an
environment that has micro-sam) its `JointSamTrainer` takes the same weights, image and numbers, and
each row has the ratio to its time. micro-sam computes each gradient through the whole network, so
its encoder's way back is part of prompts and AIS there.

Nothing else may run: a ratio of two rows that were disturbed says nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTS = ("encoder", "prompts", "AIS", "way back")

PEER = Path(__file__).with_name("training_peer.py")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--ais-decoder", nargs="+", default=["light"], choices=("light", "unetr"))
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--arch", default="vit_b")
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--micro-sam", type=Path, metavar="PYTHON")
    parser.add_argument("--work", type=Path, help="keep bases here")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measured(options, *options.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        options.work = options.work or Path(folder)
        prepare(options)
        print(
            "| method | AIS decoder | first s | later s | " + " | ".join(PARTS) + " | peak GB | |"
        )
        print("|---" * (6 + len(PARTS)) + "|")
        rows(options)


def rows(options: argparse.Namespace) -> None:
    """Measure each method, and micro-sam's beside it."""
    from samzoo.training.methods import METHODS

    for method in options.methods or METHODS:
        peer = None
        if options.micro_sam is not None:
            words = [str(options.micro_sam), str(PEER), str(options.work), method]
            words += [str(options.steps), str(options.objects), str(options.rounds)]
            peer = run(words)
            print(line(f"micro-sam `{method}`", "its UNETR", peer, None), flush=True)
        for decoder in options.ais_decoder:
            words = [sys.executable, __file__, "--work", str(options.work), "--steps"]
            words += [str(options.steps), "--arch", options.arch, "--objects"]
            words += [str(options.objects), "--rounds", str(options.rounds)]
            print(line(f"`{method}`", decoder, run([*words, "--one", method, decoder]), peer),
                  flush=True)  # fmt: skip


def run(words: list[str]) -> dict[str, Any] | None:
    """Run a measurement in a process of its own; None if it failed, which is said."""
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(words)}: ended with {done.returncode}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(name: str, decoder: str, found: dict[str, Any] | None, peer: dict[str, Any] | None) -> str:
    """Return a row of the table."""
    if found is None:
        return f"| {name} | {decoder} | failed |"
    later = statistics.median(found["seconds"][1:] or found["seconds"])
    split = " | ".join(
        f"{statistics.median(found['parts'][part][1:] or found['parts'][part]):.2f}"
        if part in found["parts"] else "" for part in PARTS
    )  # fmt: skip
    ratio = ""
    if peer is not None:
        theirs = statistics.median(peer["seconds"][1:] or peer["seconds"])
        ratio = (
            f"{later / theirs:.2f} of its time, {found['peak'] / peer['peak']:.2f} of its memory"
        )
    return (
        f"| {name} | {decoder} | {found['seconds'][0]:.2f} | {later:.2f} | {split} | "
        f"{found['peak'] / 2**30:.2f} | {ratio} |"
    )


def prepare(options: argparse.Namespace) -> None:
    """Write the base with random weights, its checkpoint for micro-sam, and the image."""
    from plan import write_random
    from vit import ARCHITECTURES

    options.work.mkdir(parents=True, exist_ok=True)
    if not (options.work / options.arch).exists():
        write_random(options.work, options.arch)
    import numpy as np
    from simulated_nuclei import nuclei

    image, labels = nuclei(512, 60)
    np.savez(options.work / "image.npz", image=image, labels=labels)
    if options.micro_sam is not None:
        import torch

        from samzoo.runtime.formats.files import read_tensors

        tensors = read_tensors(options.work / options.arch / "model.safetensors")
        state = {name: torch.from_numpy(value) for name, value in tensors.items()}
        torch.save(state, options.work / "sam.pt")
        encoder = ARCHITECTURES[options.arch]
        shape = {
            "encoder_embed_dim": encoder.embed_dim, "encoder_depth": encoder.depth,
            "encoder_num_heads": encoder.num_heads,
            "encoder_global_attn_indexes": encoder.global_attn_indexes,
            "image_size": encoder.image_size,
        }  # fmt: skip
        (options.work / "shape.json").write_text(json.dumps(shape), encoding="utf-8")


def measured(options: argparse.Namespace, method: str, decoder: str) -> dict[str, Any]:
    """Take some steps in this process; returns times, their parts and the peak."""
    import dataclasses
    import resource

    import numpy as np

    from samzoo.training.config import TrainConfig
    from samzoo.training.data.annotated import Annotated
    from samzoo.training.fit.run import Run
    from samzoo.training.learning import learner

    config = dataclasses.replace(
        TrainConfig().with_ais_decoder(decoder),  # type: ignore[arg-type]
        epochs=1, steps_per_epoch=options.steps, n_objects=options.objects,
        n_sub_iteration=options.rounds, search_ais=False, validation_tasks=("box",),
        augmentation="none",
    )  # fmt: skip
    pair = np.load(options.work / "image.npz")
    image = Annotated(pair["image"], pair["labels"], "nuclei")
    other = Annotated(pair["image"][:, 1:], pair["labels"][:, 1:], "validation")
    with tempfile.TemporaryDirectory() as output:
        run = Run(options.work / options.arch, [image], [other], method, config, Path(output))
        watch = Watch()
        kind: Any = learner
        kind.Learner._embed = watch.timed("encoder", kind.Learner._embed)
        kind.interactive_step = watch.timed("prompts", kind.interactive_step)
        kind.Learner._ais_loss = watch.timed("AIS", kind.Learner._ais_loss)
        # The outermost part counts: within the prompts this is theirs, outside of them the AIS
        # decoder's, and the last one in a step goes back through the encoder.
        fabric: Any = run.fabric
        fabric.backward = watch.timed("AIS", fabric.backward)
        kind.torch.autograd.backward = watch.timed("way back", kind.torch.autograd.backward)
        for _ in range(options.steps):
            watch.begin()
            run.step()
            watch.end()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": watch.seconds, "parts": watch.parts, "peak": peak}


class Watch:
    """Adds up the seconds of parts of each step; a part within another one is the outer one's."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.parts: dict[str, list[float]] = {}
        self._start, self._inside = 0.0, False

    def begin(self) -> None:
        """Begin a step."""
        self._start = time.perf_counter()
        for part in self.parts.values():
            part.append(0.0)

    def end(self) -> None:
        """End a step."""
        self.seconds.append(time.perf_counter() - self._start)

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time counts for a part, unless it runs within another one."""
        self.parts.setdefault(part, [])

        def run(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            start, self._inside = time.perf_counter(), True
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = False
                self.parts[part][-1] += time.perf_counter() - start

        return run


if __name__ == "__main__":
    main()
