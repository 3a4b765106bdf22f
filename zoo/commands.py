"""The verbs of the command line: each takes parsed options, calls public functions, returns a dict.

``text`` in the dict is what a person sees; ``--json`` prints the rest. Called by ``cli.py``, which
imports this module only when a verb runs.
"""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.arrays import Array, Labels2D
from samzoo.runtime.embeddings import ImageEmbeddings
from samzoo.runtime.errors import InputError
from samzoo.runtime.files import write_json
from samzoo.runtime.images import LABEL_SUFFIXES, match_pairs, read_image, write_labels
from samzoo.runtime.model import Model
from samzoo.runtime.networks import RememberedEncoder
from samzoo.runtime.outputs import check_output
from samzoo.runtime.overlay import write_overlay
from samzoo.runtime.prompt_simulation import labels_from_masks

from . import prompt_file
from .hub_commands import gallery, index, list, publish, pull, remove
from .index import DEFAULT_MODEL, load
from .model_commands import convert, export, merge, methods, train
from .package_commands import card, doctor, show, verify
from .progress import ProgressBar

__all__ = [
    "card", "convert", "doctor", "embed", "evaluate", "export", "gallery", "index", "list",
    "merge", "methods", "prompt", "publish", "pull", "remove", "segment", "show", "train", "verify",
]  # fmt: skip

Result = dict[str, Any]
Pairs = Sequence[tuple[Path, Path]]


def segment(options: Namespace) -> Result:
    """Segment images automatically."""
    outputs = _label_outputs(options)
    overlay = _overlay_output(options, outputs)
    model = _load(options)
    if len(outputs) > 1:  # an unusable one is found before the first takes its time
        for path, _ in outputs:
            read_image(path)
    rows = []
    with _bar() as progress:
        for path, output in outputs:
            image = read_image(path)
            labels = model.segment(
                image,
                tile_shape=tuple(options.tile_shape) if options.tile_shape else None,
                halo=tuple(options.halo) if options.halo else None,
                mode=options.mode,
                progress=progress,
            )
            write_labels(output, labels)
            if overlay is not None:
                write_overlay(overlay, image, labels)
            rows.append({"image": str(path), "labels": str(output), "objects": _count(labels)})
    text = "\n".join(str(output) for _, output in outputs)
    result: Result = {"text": text, "images": rows, "model": options.model or DEFAULT_MODEL}
    if model.adapter is not None:
        result["adapter"] = model.adapter
    return result if overlay is None else {**result, "overlay": str(overlay)}


def prompt(options: Namespace) -> Result:
    """Segment prompted objects."""
    output = _label_output(Path(options.image), options)
    overlay = _overlay_output(options, [(Path(options.image), output)])
    if options.prompts and (options.point or options.box):
        raise InputError("give either --prompts or --point and --box, not both")
    objects = (
        prompt_file.read_prompts(Path(options.prompts))
        if options.prompts
        else prompt_file.from_options(options.point, options.label, options.box)
    )
    model = _load(options)
    embeddings, image = _embeddings_of(Path(options.image), model)
    if overlay is not None and image is None:
        raise InputError("--overlay needs an image, not embeddings")
    masks = np.zeros((len(objects), *embeddings.original_size), np.bool_)
    scores = np.zeros(len(objects), np.float32)
    with _bar() as progress:
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
    model = _load(options)
    with _bar() as progress:
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
    model = _load(options)
    model_in_use = model.adapter
    model = Model(model.config, RememberedEncoder(model.networks))
    with _bar() as progress:
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


def _load(options: Namespace) -> Model:
    model = load(options.model or DEFAULT_MODEL, threads=options.threads, provider=options.provider)
    if options.adapter is not None:
        model.use(options.adapter)
    return model


def _embeddings_of(path: Path, model: Model) -> tuple[ImageEmbeddings, Array | None]:
    if path.suffix == ".safetensors":
        return ImageEmbeddings.load(path), None
    image = read_image(path)
    with _bar() as progress:
        return model.embed(image, progress=progress), image


def _label_outputs(options: Namespace) -> Pairs:
    """Pairs of image and label path; a folder of outputs for several images."""
    images = [Path(image) for image in options.images]
    if len(images) == 1:
        return [(images[0], _label_output(images[0], options))]
    folder = Path(options.output)
    if folder.suffix in LABEL_SUFFIXES:
        raise InputError(f"{folder}: {len(images)} images need a folder as output, not one file")
    outputs = [folder / f"{image.stem}.tif" for image in images]
    twice = {path for path in outputs if outputs.count(path) > 1}
    if twice:
        raise InputError(f"{sorted(twice)[0]}: two images would write it; rename one")
    for path in outputs:
        check_output(path, force=options.force, inputs=images)
    return [*zip(images, outputs, strict=True)]


def _label_output(image: Path, options: Namespace) -> Path:
    output = Path(options.output)
    if output.suffix.lower() not in LABEL_SUFFIXES:
        raise InputError(f"{output}: labels are written as {', '.join(LABEL_SUFFIXES)}")
    check_output(output, force=options.force, inputs=[image])
    return output


def _overlay_output(options: Namespace, outputs: Pairs) -> Path | None:
    if not options.overlay:
        return None
    if len(outputs) > 1:
        raise InputError("--overlay takes one image; run it for each")
    overlay = Path(options.overlay)
    if overlay.suffix.lower() != ".png":
        raise InputError(f"{overlay}: overlays are written as .png; name it so")
    check_output(overlay, force=options.force, inputs=[outputs[0][0]])
    if overlay.resolve() == outputs[0][1].resolve():
        raise InputError(f"{overlay}: is the output for the labels as well; choose another name")
    return overlay


def _count(labels: Labels2D) -> int:
    return int(np.count_nonzero(np.unique(labels)))


@contextmanager
def _bar() -> Iterator[ProgressBar]:
    bar = ProgressBar()
    try:
        yield bar
    finally:
        bar.close()
