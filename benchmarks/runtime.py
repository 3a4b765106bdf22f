"""All that the project states about the runtime's speed and memory, measured in one run.

    python benchmarks/runtime.py [--runs 3] [--sections NAME...] [--work WORK] [-o REPORT.md]

Each section is a script of its own, whose docstring says what it compares. The run needs the `dev`
extra, OpenVINO and micro-sam, see benchmarks/README.md. It takes about half an hour on two cores,
which nothing else should use in the meantime.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import adapters
import ais
import cold_start
import encoder
import postprocessing
import prompts
import vit

SECTIONS: dict[str, tuple[str, Callable[[Path, int], str]]] = {
    "encoder": ("Encoder, random ViT-B", lambda work, runs: vit.report("vit_b", work, runs)),
    "shipped": ("Encoder of the shipped model", lambda _, runs: encoder.report(3 * runs)),
    "ais": ("From an image to labels", ais.report),
    "prompts": ("300 boxes on one image", lambda _, runs: prompts.report(runs)),
    "postprocessing": ("Post-processing", lambda _, runs: postprocessing.report(7 * runs)),
    "adapters": (
        "Adapters over one encoder",
        lambda work, runs: adapters.report("vit_b", work, runs),
    ),
    "cold-start": ("Cold start of the command line", lambda _, runs: cold_start.report(2 * runs)),
}
"""Each section's title, and the function that returns its tables; quick ones run more often."""


def main() -> None:
    """Print the sections one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "samzoo-runtime")
    parser.add_argument("-o", "--output", type=Path, help="also write the report here")
    options = parser.parse_args()
    parts = []
    for name in options.sections:
        title, report = SECTIONS[name]
        start = time.perf_counter()
        text = report(options.work / name, options.runs)
        parts.append(f"## {title}\n\n{text}\n\n{time.perf_counter() - start:.0f} s.\n")
        print(parts[-1], flush=True)
        if options.output is not None:  # now, so that an interrupted run leaves a report
            options.output.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
