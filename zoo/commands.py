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

import numpy as np

from samzoo.runtime.arrays import Array
from samzoo.runtime.embeddings import ImageEmbeddings
from samzoo.runtime.errors import InputError
from samzoo.runtime.files import write_json
from samzoo.runtime.images import match_pairs, read_image, write_labels
from samzoo.runtime.model import Model
from samzoo.runtime.networks import RememberedEncoder
from samzoo.runtime.outputs import check_output
from samzoo.runtime.overlay import write_overlay
from samzoo.runtime.prompt_simulation import labels_from_masks

from . import prompt_file
from .hub_commands import gallery, index, list, publish, pull, remove
from .index import DEFAULT_MODEL
from .label_outputs import check_overlay, label_output
from .model_commands import convert, export, merge, methods, train
from .model_options import load_model
from .package_commands import card, doctor, show, verify
from .progress import progress_bar
from .segment_command import segment

__all__ = [
    "card", "convert", "doctor", "embed", "evaluate", "export", "gallery", "index", "list",
    "merge", "methods", "prompt", "publish", "pull", "remove", "segment", "show", "train", "verify",
]  # fmt: skip

Result = dict[str, Any]
Pairs = Sequence[tuple[Path, Path]]


def prompt(options: Namespace) -> Result:
    """Segment prompted objects."""
    output = label_output(Path(options.image), options)
    overlay = check_overlay(options, [(Path(options.image), output)])
    if options.prompts and (options.point or options.box):
        raise InputError("give either --prompts or --point and --box, not both")
    objects = (
        prompt_file.read_prompts(Path(options.prompts))
        if options.prompts
        else prompt_file.from_options(options.point, options.label, options.box)
    )
    model = load_model(options)
    embeddings, image = _embeddings_of(Path(options.image), model)
    if overlay is not None and image is None:
        raise InputError("--overlay needs an image, not embeddings")
    masks = np.zeros((len(objects), *embeddings.original_size), np.bool_)
    scores = np.zeros(len(objects), np.float32)
    with progress_bar() as progress:
        for members, arguments in prompt_file.to_arrays(objects):
            masks[members], scores[members], _ = model.prompt(
                embeddings, **arguments, progress=progress
            )
    labels = labels_from_masks(masks)
    write_labels(output, labels)
    if overlay is not None and image is not None:
        write_overlay(overlay, image, labels)
    rows = [
        {"label": i + 1, "iou_prediction": round(float(s), 4), "pixels": int(m.sum())}
        for i, (s, m) in enumerate(zip(scores, masks, strict=True))
    ]
    return {"text": str(output), "labels": str(output), "objects": rows}


def embed(options: Namespace) -> Result:
    """Compute and save image embeddings."""
    output = Path(options.output)
    if output.suffix != ".safetensors":
        raise InputError(f"{output}: embeddings are written as .safetensors; name it so")
    check_output(output, force=options.force, inputs=[Path(options.image)])
    model = load_model(options)
    with progress_bar() as progress:
        embeddings = model.embed(read_image(Path(options.image)), progress=progress)
    embeddings.save(output)
    return {"text": str(output), "embeddings": str(output), "tiles": len(embeddings.tiles)}


def evaluate(options: Namespace) -> Result:
    """Score a model."""
    from samzoo.runtime.evaluation import evaluate as evaluate_pairs

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
    lines = [f"{'task':10} {'msa':>6} {'sa50':>6} {'sa75':>6} {'dice':>6}"] + [
        f"{task:10} " + " ".join(f"{s[m]:6.3f}" for m in ("msa", "sa50", "sa75", "dice"))
        for task, s in report["mean"].items()
    ]
    return {"text": "\n".join(lines), "report": str(output), "mean": report["mean"]}


def _embeddings_of(path: Path, model: Model) -> tuple[ImageEmbeddings, Array | None]:
    if path.suffix == ".safetensors":
        return ImageEmbeddings.load(path), None
    image = read_image(path)
    with progress_bar() as progress:
        return model.embed(image, progress=progress), image
