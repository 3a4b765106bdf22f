"""The verbs that make models: ``convert``, ``train``, ``merge``, ``export``, ``methods``.

Each takes parsed options, calls public functions, and returns a dict as ``commands.py`` says.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError
from samzoo.runtime.images.reading import read_image

from .progress import TrainingBar

Result = dict[str, Any]


def convert(options: Namespace) -> Result:
    """Turn a checkpoint into a base folder, or a base or model folder into a checkpoint."""
    from samzoo.zoo.checkpoints.conversion import convert as convert_checkpoint
    from samzoo.zoo.checkpoints.conversion import find_lite_medsam
    from samzoo.zoo.checkpoints.writing import write_checkpoint
    from samzoo.zoo.hub.huggingface_hub import check_repository

    from .adapter_commands import convert_adapter, is_about_adapters

    given = {key: getattr(options, key) for key in ("name", "license", "huggingface")}
    source = {key: value for key, value in given.items() if value is not None}
    about_adapters = is_about_adapters(options)
    if source and (about_adapters or options.to != "base"):
        raise InputError(
            f"--{', --'.join(source)}: describes the weights of a checkpoint that becomes a base; "
            "leave it out here, what is written keeps what its source says"
        )
    if about_adapters:
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
    if "huggingface" in source:
        check_repository(source["huggingface"], where=f"--huggingface {source['huggingface']}")
    convert_checkpoint(checkpoint, output, decoder=decoder, force=options.force, source=source)
    return {"text": str(output), "base": str(output)}


def train(options: Namespace) -> Result:
    """Finetune a base."""
    import dataclasses

    from samzoo.runtime.errors import require

    require("torch", extra="train")
    from samzoo.training import TrainConfig, read_annotated, split
    from samzoo.training.fit.loop import train as fit

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
    from samzoo.runtime.formats.config import to_json
    from samzoo.training.methods import get_method
    from samzoo.zoo.merging.comparison import merge_differences, require_packages
    from samzoo.zoo.merging.folding import merge as merge_adapter
    from samzoo.zoo.merging.merged_weights import DEFAULT_QLORA_BASE

    from .adapter_commands import merge_several

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
    if not get_method(method).folds:
        note = f"{method} does not fold: its tensors are extra weights of the model"
        result["notes"] = [note]
    if image is not None:
        rows = merge_differences(adapter, output, image, base=base)
        result["differences"] = [to_json(row) for row in rows]
        result["notes"] = [*result.get("notes", ()), *map(str, rows)]
    return {"text": str(output), **result}


def export(options: Namespace) -> Result:
    """Make a package."""
    from samzoo.zoo.merging.merged_weights import DEFAULT_QLORA_BASE
    from samzoo.zoo.packages.assembly import export as export_package
    from samzoo.zoo.targets import choose_targets

    from .adapter_commands import export_several

    shared = options.shared_encoder or options.add_to or options.over
    if shared or options.others or options.adapter_names:
        return export_several(options)
    manifest = export_package(
        Path(options.source),
        Path(options.output),
        base=Path(options.base) if options.base else None,
        qlora_base=options.qlora_base or DEFAULT_QLORA_BASE,
        precision=options.precision or "fp32",
        name=options.name,
        segments=options.segments,
        targets=choose_targets(options.target),
        weights=options.with_weights,
        force=options.force,
    )
    return {
        "text": options.output,
        "package": options.output,
        "name": manifest.name,
        "files": [entry.path for entry in manifest.files],
    }


def methods(options: Namespace) -> Result:
    """List the finetuning methods."""
    from samzoo.zoo.reports.methods_document import methods_page
    from samzoo.zoo.reports.methods_listing import architecture_named, method_rows, method_table

    architecture = architecture_named(options.arch)
    text = methods_page().rstrip("\n") if options.markdown else method_table(architecture)
    return {"text": text, "arch": options.arch, "methods": method_rows(architecture)}
