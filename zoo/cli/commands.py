"""The verbs of the command line: each takes parsed options, calls public functions, returns a dict.

``text`` in the dict is what a person sees; ``--json`` prints the rest. Called by ``cli.py``, which
imports this module only when a verb runs.
"""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samzoo.runtime.engine.networks import RememberedEncoder
from samzoo.runtime.errors import InputError
from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.formats.files import write_json
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.reading import match_pairs
from samzoo.runtime.model import Model
from samzoo.zoo.hub.names import DEFAULT_MODEL

from .hub_commands import gallery, index, list, publish, pull, remove
from .model_commands import convert, export, merge, methods, train
from .model_options import load_model
from .package_commands import card, doctor, show, verify
from .progress import progress_bar
from .prompt_command import embed, prompt
from .segment_command import segment

__all__ = [
    "card", "convert", "doctor", "embed", "evaluate", "export", "gallery", "index", "list",
    "merge", "methods", "prompt", "publish", "pull", "remove", "segment", "show", "train", "verify",
]  # fmt: skip

Result = dict[str, Any]
Pairs = Sequence[tuple[Path, Path]]


def evaluate(options: Namespace) -> Result:
    """Score a model."""
    from samzoo.runtime.evaluation.scoring import evaluate as evaluate_pairs

    output = Path(options.output)
    if output.suffix != ".json":
        raise InputError(f"{output}: reports are written as .json; name it so")
    check_output(output, force=options.force)
    pairs = match_pairs(Path(options.images), Path(options.labels))
    model = load_model(options)
    model_in_use = model.adapter
    model = Model(model.config, RememberedEncoder(model.networks))
    with progress_bar() as progress:
        report = evaluate_pairs(
            model,
            pairs,
            tasks=[task.strip() for task in options.tasks.split(",")],
            seed=options.seed,
            min_object_size=options.min_object_size,
            progress=progress,
        )
    content = {
        "model": options.model or DEFAULT_MODEL,
        **({"adapter": model_in_use} if model_in_use is not None else {}),
        "weights_digest": model.config.weights_digest,
        "command": shlex.join(options.command),
        **report,
    }
    write_json(output, content)
    lines = [" ".join([f"{'task':10}", *(f"{name:>6}" for name in METRICS)])] + [
        f"{task:10} " + " ".join(f"{s[name]:6.3f}" for name in METRICS)
        for task, s in report["mean"].items()
    ]
    return {"text": "\n".join(lines), "report": str(output), "mean": report["mean"]}
