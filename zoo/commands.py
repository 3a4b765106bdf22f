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
from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.files import write_json
from samzoo.runtime.images import LABEL_SUFFIXES, match_pairs, read_image, write_labels
from samzoo.runtime.manifest import Manifest
from samzoo.runtime.model import Model
from samzoo.runtime.networks import RememberedEncoder
from samzoo.runtime.outputs import check_output
from samzoo.runtime.overlay import write_overlay
from samzoo.runtime.prompt_simulation import labels_from_masks

from . import prompt_file
from .hub_commands import gallery, index, list, publish, pull, remove
from .index import DEFAULT_MODEL, load, resolve
from .progress import ProgressBar, TrainingBar

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


def convert(options: Namespace) -> Result:
    """Turn a checkpoint into a base folder, or a base or model folder into a checkpoint."""
    from .adapter_commands import convert_adapter, is_about_adapters
    from .checkpoint_writer import write_checkpoint
    from .convert import convert as convert_checkpoint
    from .convert import find_lite_medsam

    if is_about_adapters(options):
        return convert_adapter(options)
    name, output = options.checkpoint, Path(options.output)
    decoder = Path(options.decoder) if options.decoder else None
    if options.to != "base":
        written = write_checkpoint(
            Path(name), output, to=options.to, decoder=decoder, force=options.force
        )
        files = [str(path) for path in written]
        return {"text": "\n".join(files), "format": options.to, "files": files}
    checkpoint = find_lite_medsam() if name == "lite_medsam" else Path(name)
    convert_checkpoint(checkpoint, output, decoder=decoder, force=options.force)
    return {"text": str(output), "base": str(output)}


def train(options: Namespace) -> Result:
    """Finetune a base."""
    import dataclasses

    from samzoo.runtime.errors import require

    require("torch", extra="train")
    from samzoo.training import TrainConfig, read_annotated, split
    from samzoo.training.fit import train as fit

    config = TrainConfig.read(options.config)
    if options.seed is not None:
        config = dataclasses.replace(config, seed=options.seed)
    if options.ais_decoder is not None:
        config = config.with_ais_decoder(options.ais_decoder)
    annotated = read_annotated(Path(options.images), Path(options.labels))
    if bool(options.val_images) != bool(options.val_labels):
        raise InputError("--val-images and --val-labels belong together; give both or none")
    if options.val_images:
        training = annotated
        validation = read_annotated(Path(options.val_images), Path(options.val_labels))
    else:
        training, validation = split(annotated)
    bar = TrainingBar()
    output = Path(options.output)
    try:
        scores = fit(
            base=Path(options.base), train_data=training, val_data=validation,
            method=options.method, config=config, output=output, resume=options.resume,
            source={"data": {"images": options.images, "labels": options.labels}}, report=bar,
        )  # fmt: skip
    finally:
        bar.close()
    return {"text": str(output), "adapter": str(output), "validation": scores}


def merge(options: Namespace) -> Result:
    """Fold an adapter, or the sum of several, into their base."""
    from samzoo.runtime.config import to_json
    from samzoo.training.methods import get_method

    from .adapter_commands import merge_several
    from .merge import merge as merge_adapter
    from .merge_check import merge_differences, require_packages
    from .merged_weights import DEFAULT_QLORA_BASE

    if options.others or options.weights or options.as_adapter:
        return merge_several(options)
    base = Path(options.base) if options.base else None
    adapter, output = Path(options.adapter), Path(options.output)
    image = read_image(Path(options.verify)) if options.verify else None
    if image is not None:
        require_packages(adapter)
    config = merge_adapter(
        adapter,
        output,
        base=base,
        qlora_base=options.qlora_base or DEFAULT_QLORA_BASE,
        force=options.force,
    )
    result: Result = {"model": str(output), "weights_digest": config.weights_digest}
    method = config.source["merged_from"]["method"]
    if not get_method(method).foldable:
        note = f"{method} does not fold: its tensors are extra weights of the model"
        result["notes"] = [note]
    if image is not None:
        rows = merge_differences(adapter, output, image, base=base)
        result["differences"] = [to_json(row) for row in rows]
        result["notes"] = [*result.get("notes", ()), *map(str, rows)]
    return {"text": str(output), **result}


def export(options: Namespace) -> Result:
    """Make a package."""
    from .adapter_commands import export_several
    from .export import export as export_package
    from .merged_weights import DEFAULT_QLORA_BASE

    if options.others or options.shared_encoder or options.adapter_names or options.add_to:
        return export_several(options)
    manifest = export_package(
        Path(options.source),
        Path(options.output),
        base=Path(options.base) if options.base else None,
        qlora_base=options.qlora_base or DEFAULT_QLORA_BASE,
        precision=options.precision or "fp32",
        name=options.name,
        segments=options.segments,
        targets=options.target,
        weights=options.with_weights,
        force=options.force,
    )
    return {
        "text": options.output,
        "package": options.output,
        "name": manifest.name,
        "files": [entry.path for entry in manifest.files],
    }


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


def methods(options: Namespace) -> Result:
    """List the finetuning methods."""
    from .method_rows import architecture_named, method_rows, method_table
    from .methods_page import methods_page

    architecture = architecture_named(options.arch)
    text = methods_page().rstrip("\n") if options.markdown else method_table(architecture)
    return {"text": text, "arch": options.arch, "methods": method_rows(architecture)}


def show(options: Namespace) -> Result:
    """Print a model's card."""
    from samzoo.runtime.config import to_json

    folder = resolve(options.model)
    manifest = Manifest.read(folder)
    card = folder / "README.md"
    text = f"{manifest.name}: no card"
    if card.is_file():
        text = card.read_text(encoding="utf-8", errors="replace")
    # A card comes from a stranger: no control sequences for the terminal.
    text = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return {"text": text, "folder": str(folder), "manifest": to_json(manifest)}


def verify(options: Namespace) -> Result:
    """Check a package."""
    from .verify import verify as verify_package

    folder = resolve(options.model)
    report = verify_package(folder)
    if not report.ok:
        count = len(report.problems)
        raise FormatError(
            "\n  ".join([f"{folder}: {count} problem{'s' if count > 1 else ''}", *report.problems])
        )
    return {
        "text": "\n".join(f"ok  {line}" for line in report.proved),
        "folder": str(folder),
        "proved": report.proved,
        "differences": report.differences,
    }


def card(options: Namespace) -> Result:
    """Render a package's card again."""
    from .card import card_problems
    from .package_files import CARD_FILE, update_package

    folder = Path(options.package)
    manifest = update_package(folder, Manifest.read(folder))
    path = str(folder / CARD_FILE)
    problems = card_problems(manifest)
    notes = [f"before it is published: {problem}" for problem in problems]
    return {"text": path, "card": path, "missing": problems, "notes": notes}


def doctor(options: Namespace) -> Result:
    """Check the installation."""
    from .doctor import check_installation

    result = check_installation()
    if not result["ok"]:
        raise InputError(f"the installation has problems\n{result['text']}")
    return result


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
