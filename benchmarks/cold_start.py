"""The steps of `samzoo segment` in a new process, and the time that each takes.

    python benchmarks/cold_start.py [--runs 7] [--image examples/nuclei.tif] [--model REF]

Each run is a new process that does what the command line does, with a stopwatch around its steps.
A step's time does not include the steps inside it. The first run is left out; after it the
operating system has the files in memory.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STEPS = (
    ("samzoo.runtime.formats.manifest", "read_entry", "read graphs, check sha256"),
    ("samzoo.runtime.engine.sessions", "_make_session", "make sessions"),
    ("samzoo.runtime.engine.sessions.OnnxNetworks", "encode", "encode"),
    ("samzoo.runtime.engine.sessions.OnnxNetworks", "decode_ais", "AIS decode"),
    ("samzoo.runtime.automatic.segmentation", "segment_from_maps", "post-processing"),
    ("samzoo.runtime.automatic.segmentation", "embed_image", "cut and resize tiles"),
    ("samzoo.runtime.automatic.segmentation", "decode_maps", "join and resize maps"),
    ("samzoo.zoo.cli.model_loading", "load_model", "open the package"),
    ("samzoo.runtime.windows.source.ImageSource", "whole", "read the image"),
    ("samzoo.runtime.large.file_segmentation", "write_labels", "write the labels"),
    ("samzoo.zoo.cli", "parse", "parse options"),
)
"""Module or class, function, and the name of the step."""

IMAGE = Path(__file__).resolve().parents[1] / "examples" / "nuclei.tif"


def main() -> None:
    """Print the median time of each step and of the whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--image", type=Path, default=IMAGE)
    parser.add_argument("--model", default="nuclei-vit-t")
    parser.add_argument("--child", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(child(options)))
        return
    print(report(options.runs, image=options.image, model=options.model))


def report(runs: int, *, image: Path = IMAGE, model: str = "nuclei-vit-t") -> str:
    """Start the command anew in every round; return a table of its steps."""
    found: dict[str, list[float]] = defaultdict(list)
    for index in range(runs + 1):
        started = time.time()
        command = [sys.executable, __file__, "--child", repr(started)]
        command += ["--image", str(image), "--model", model]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        ended = time.time()
        steps = json.loads(done.stdout.splitlines()[-1])
        peak, finished = steps.pop("peak"), steps.pop("finished")
        steps["end of the process"] = ended - finished
        steps["not accounted for"] = ended - started - sum(steps.values())
        if index:
            for name, seconds in {**steps, "whole": ended - started, "peak": peak}.items():
                found[name].append(seconds)
    peak = statistics.median(found.pop("peak"))
    whole = statistics.median(found["whole"])
    lines = ["| step | seconds, median (range) | share |", "|---|---|---|"]
    for name, values in found.items():
        median = statistics.median(values)
        lines.append(
            f"| {name} | {median:.3f} ({min(values):.3f} to {max(values):.3f}) "
            f"| {100 * median / whole:.0f} % |"
        )
    return "\n".join([*lines, "", f"Peak memory {peak:.0f} MB."])


def child(options: argparse.Namespace) -> dict[str, float]:
    """Do the work of the command line once; return seconds by step."""
    import resource

    begun = time.time()
    watch = Stopwatch()
    with watch("import samzoo and NumPy"):
        from samzoo.runtime.dependencies import import_onnxruntime
        from samzoo.zoo.cli import main as command_line

        importlib.import_module("samzoo.zoo.cli.model_loading")
        importlib.import_module("samzoo.runtime.large.file_segmentation")
    with watch("import onnxruntime"):
        import_onnxruntime()
    for place, name, step in STEPS:
        target = locate(place)
        setattr(target, name, watch.around(step, getattr(target, name)))
    with (
        tempfile.TemporaryDirectory() as folder,
        watch("the rest of the command, releasing the model"),
    ):
        output = str(Path(folder) / "labels.tif")
        status = command_line(["segment", str(options.image), "-o", output,
                               "--model", options.model])  # fmt: skip
    assert status == 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    interpreter = {"start the interpreter": begun - options.child}
    return {**interpreter, **watch.seconds, "peak": peak, "finished": time.time()}


def locate(place: str) -> Any:
    """Return the module, or the class in a module, of a dotted name."""
    parent, _, last = place.rpartition(".")
    if last[0].isupper():
        return getattr(importlib.import_module(parent), last)
    return importlib.import_module(place)


class Stopwatch:
    """Sums seconds by step; a step inside another counts for itself only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside = [0.0]

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Count the seconds of a ``with`` block to a step."""
        self._inside.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self.seconds[step] += seconds - self._inside.pop()
            self._inside[-1] += seconds

    def around(self, step: str, function: Any) -> Any:
        """Return the function with a stopwatch around each call."""

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self(step):
                return function(*arguments, **options)

        return timed


if __name__ == "__main__":
    main()
