"""What ``convert``, ``merge`` and ``export`` do with adapters of other tools, and with several.

In: parsed options. Out: a dict, as in ``commands.py``, which calls this module.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.adapter import CONFIG_FILE, is_adapter
from samzoo.runtime.formats.files import read_json
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.checkpoints.resizing import resize_base
from samzoo.zoo.exchange.reading import read_foreign_adapter
from samzoo.zoo.exchange.writing import TARGETS, write_foreign_adapter
from samzoo.zoo.merging.sums import merge_sum, sum_adapters

Result = dict[str, Any]


def is_about_adapters(options: Namespace) -> bool:
    """Whether ``convert`` was asked to read or write an adapter, or to resize a base."""
    given = (options.base, options.image_size, options.alpha, options.method)
    return (
        any(value is not None for value in given)
        or options.to == "peft"
        or is_adapter(Path(options.checkpoint))
    )


def convert_adapter(options: Namespace) -> Result:
    """Read an adapter from elsewhere, write one, or resize a base."""
    source, output = Path(options.checkpoint), Path(options.output)
    if options.decoder:
        raise InputError("--decoder is for models; an adapter's AIS decoder is in its file")
    if is_adapter(source) and "peft_type" not in read_json(source / CONFIG_FILE):
        return _write(source, output, options)
    if options.to != "base":
        raise InputError(
            f"{source}: is no adapter folder of samzoo; --to {options.to} with --base, --method, "
            "--alpha or --image-size writes none but those"
        )
    if options.base is None:
        return _resize(source, output, options)
    config = read_foreign_adapter(
        source,
        output,
        base=Path(options.base),
        method=options.method,
        alpha=options.alpha,
        image_size=options.image_size,
        force=options.force,
    )
    return {
        "text": str(output),
        "adapter": str(output),
        "method": config.method,
        "hyperparameters": config.hyperparameters,
        "notes": [f"method: {config.method}", *config.source.get("notes", ())],
    }


def _write(adapter: Path, output: Path, options: Namespace) -> Result:
    for name in ("method", "alpha", "image_size"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} is for reading; {adapter} is written")
    if options.to not in TARGETS:
        raise InputError(
            f"{adapter}: is an adapter; convert it with --to {' or '.join(TARGETS)}, or merge it "
            "(samzoo merge) and convert the model"
        )
    base = Path(options.base) if options.base else None
    result = write_foreign_adapter(adapter, output, to=options.to, base=base, force=options.force)
    notes = list(result["notes"])
    arguments = result.get("peft_kwargs")
    if arguments is not None:
        notes.append(
            f"load it with micro_sam.util.get_sam_model(..., peft_kwargs={arguments}), where "
            "peft_module is the class of that name in micro_sam.models.peft_sam"
        )
    return {"text": str(output), "output": str(output), **result, "notes": notes}


def _resize(base: Path, output: Path, options: Namespace) -> Result:
    if options.image_size is None or options.method or options.alpha is not None:
        raise InputError(
            f"{base}: reading an adapter needs the base it was trained on; pass it with --base"
        )
    config = resize_base(base, output, image_size=options.image_size, force=options.force)
    return {"text": str(output), "base": str(output), "weights_digest": config.weights_digest}


def merge_several(options: Namespace) -> Result:
    """Sum adapters, and merge the sum or write it as an adapter."""
    adapters = [Path(folder) for folder in (options.adapter, *options.others)]
    if options.weights is None:
        raise InputError(f"{len(adapters)} adapters need --weights, a number for each")
    if options.verify:
        raise InputError("--verify takes one adapter; write the sum with --as-adapter first")
    output, base = Path(options.output), Path(options.base) if options.base else None
    common: dict[str, Any] = {"weights": options.weights, "base": base, "force": options.force}
    if options.as_adapter:
        config = sum_adapters(adapters, output, **common)
        return {"text": str(output), "adapter": str(output), "method": config.method}
    if options.qlora_base:
        common["qlora_base"] = options.qlora_base
    model = merge_sum(adapters, output, **common)
    return {"text": str(output), "model": str(output), "weights_digest": model.weights_digest}


def export_several(options: Namespace) -> Result:
    """Make a package of adapters that share one encoder."""
    from samzoo.zoo.hub.names import resolve
    from samzoo.zoo.merging.merged_weights import DEFAULT_QLORA_BASE
    from samzoo.zoo.packages.assembly import package_name
    from samzoo.zoo.packages.shared_assembly import add_adapters, export_shared

    folders = [Path(folder) for folder in (options.source, *options.others)]
    if not (options.shared_encoder or options.over):
        raise InputError(
            f"found {len(folders)} of them: a package holds one model; with --shared-encoder it "
            "holds several LoRA adapters over one base"
        )
    names = options.adapter_names or [package_name(folder.absolute()) for folder in folders]
    if len(names) != len(folders):
        raise InputError(
            f"--adapter-names: expected {len(folders)} names, one for each adapter, found "
            f"{len(names)}"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two adapters are called {twice!r}; name them with --adapter-names")
    sources = dict(zip(names, folders, strict=True))
    common: dict[str, Any] = {
        "base": Path(options.base) if options.base else None,
        "qlora_base": options.qlora_base or DEFAULT_QLORA_BASE,
        "force": options.force,
    }
    output = Path(options.output)
    if options.over:
        manifest = _export_over(options, sources, output, common)
    elif options.add_to:
        if options.name or options.segments or options.precision:
            raise InputError(
                "--name, --segments and --precision are those of the package in --add-to; leave "
                "them out"
            )
        manifest = add_adapters(resolve(options.add_to), sources, output, **common)
    else:
        manifest = export_shared(
            sources, output, precision=options.precision or "fp32", name=options.name,
            segments=options.segments, **common,
        )  # fmt: skip
    return {
        "text": options.output,
        "package": options.output,
        "name": manifest.name,
        "adapters": [entry.name for entry in manifest.adapters],
        "files": [entry.path for entry in manifest.files],
    }


def _export_over(
    options: Namespace, sources: dict[str, Path], output: Path, common: dict[str, Any]
) -> Manifest:
    """Make a package of adapters alone, over the encoder of another."""
    from samzoo.zoo.hub.huggingface_hub import HUB_PREFIX, pinned
    from samzoo.zoo.hub.names import resolve
    from samzoo.zoo.packages.adapter_assembly import export_adapters

    if options.add_to or options.precision:
        raise InputError("--over takes the encoder as it is; leave out --add-to and --precision")
    over, reference = resolve(options.over), ""
    if options.over.startswith(HUB_PREFIX):
        reference = pinned(options.over, over)
    return export_adapters(
        sources, output, over=over, reference=reference, name=options.name,
        segments=options.segments, **common,
    )  # fmt: skip
