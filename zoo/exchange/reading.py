"""Reading of another tool's adapter into an adapter folder, checked against its base.

In: a checkpoint of micro-sam, a LoRA folder of Hugging Face's ``peft``, or a file of CellSeg1 (the
content tells which), and the base. Out: an adapter folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError, NotFoundError, WrongBaseError, shown
from samzoo.runtime.formats.adapter import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    AdapterConfig,
    is_adapter,
    read_adapter_config,
    write_adapter,
)
from samzoo.runtime.formats.architecture import AisDecoderConfig
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.files import read_tensors, sha256_of
from samzoo.runtime.formats.outputs import check_output_folder, write_folder
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX, DECODER_PREFIXES, ENCODER_PREFIX
from samzoo.training.methods.layers import FUSED
from samzoo.training.methods.table import factored_settings
from samzoo.zoo.checkpoints.base import Base, read_base
from samzoo.zoo.checkpoints.detection import architecture_of
from samzoo.zoo.checkpoints.reading import as_weights, read_flat, read_state_dicts

from . import cellseg1, micro_sam
from . import peft as huggingface_peft
from .foreign import Foreign, completed
from .micro_sam_names import split_quantized

OUR_CONFIG, AIS_FILE = "samzoo_adapter.json", "ais_decoder.safetensors"
"""Files that ``writing.py`` adds to ``peft``'s, so that reading them again loses nothing."""


def read_foreign_adapter(
    source: Path,
    output: Path,
    *,
    base: Path,
    method: str | None = None,
    alpha: float | None = None,
    image_size: int | None = None,
    key: str | None = None,
    force: bool = False,
) -> AdapterConfig:
    """Convert another tool's adapter to an adapter folder.

    Args:
        source: A checkpoint of micro-sam (a state dict, an export, or a trainer's file), a file of
            CellSeg1, or a folder of ``peft``.
        output: The adapter folder to write.
        base: Folder of the base that the adapter was trained on.
        method: The method that the adapter must have; by default the tensors' names tell it.
        alpha: AdaptFormer's fixed alpha, which micro-sam does not store.
        image_size: Side of the encoder's input in a CellSeg1 training, if it was not 512.
        key: Which of several in a checkpoint file, such as ``model_ema``.
        force: Replace an existing ``output``.

    Returns:
        The adapter's config; ``source.notes`` tells what the file did not say.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged or incomplete, or has a method that we do not have.
        WrongBaseError: The adapter was trained on another base.
        InputError: An option is missing or does not belong to the file.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.
    """
    check_output_folder(output, force=force, inputs=[source, base])
    read = read_base(base)
    given = {"method": method, "alpha": alpha, "image_size": image_size, "key": key}
    foreign, where = _read(source, read, given)
    config, tensors = completed(foreign, read, where=where)
    write_folder(output, lambda folder: write_adapter(folder, config, tensors), force=force)
    return config


def _read(source: Path, base: Base, given: dict[str, Any]) -> tuple[Foreign, str]:
    if source.is_dir():
        _refuse_options(source, "peft", given)
        return _read_folder(source, base), str(source)
    if not source.is_file():
        raise NotFoundError(f"{source}: no such file or folder")
    where = str(source)
    tensors = read_checkpoint_file(source, key=given["key"])
    provenance = {"adapter_file": source.name, "adapter_sha256": sha256_of(source)}
    if any(name.endswith(huggingface_peft.NAME_OF_A) for name in tensors):
        raise InputError(
            f"{source}: holds a LoRA of peft; pass its folder {source.parent}, which also has the "
            "settings"
        )
    if cellseg1.is_cellseg1(tensors):
        _refuse_options(source, "CellSeg1", given, allowed=("image_size", "key"))
        foreign = cellseg1.read(tensors, base, where=where, image_size=given["image_size"])
    else:
        _refuse_options(source, "micro-sam", given, allowed=("method", "alpha", "key"))
        foreign = micro_sam.read(
            tensors, base, where=where, method=given["method"], alpha=given["alpha"],
            ais_decoder=_ais_decoder(tensors, base, where=where),
        )  # fmt: skip
    foreign.source.update(provenance)
    return foreign, where


def _ais_decoder(tensors: Tensors, base: Base, *, where: str) -> AisDecoderConfig | None:
    """Tell the AIS decoder's kind and sizes by its tensors; all other networks are the base's."""
    decoder = {
        name: value for name, value in tensors.items() if name.startswith(AIS_DECODER_PREFIX)
    }
    if not decoder:
        return None
    sam = base.part(ENCODER_PREFIX, *DECODER_PREFIXES)
    return architecture_of({**sam, **decoder}, where=where).ais_decoder


def _refuse_options(
    source: Path, kind: str, given: dict[str, Any], *, allowed: tuple[str, ...] = ()
) -> None:
    for name, value in given.items():
        if value is not None and name not in allowed:
            raise InputError(
                f"{source}: is an adapter of {kind}, which takes no "
                f"--{name.replace('_', '-')}; omit it"
            )


def _read_folder(folder: Path, base: Base) -> Foreign:
    if not is_adapter(folder):
        inside = sorted(path.parent for path in folder.glob(f"*/{ADAPTER_CONFIG_FILE}"))
        if inside:  # peft gives each adapter that is not called "default" a folder of its own
            raise NotFoundError(
                f"{folder}: holds adapters in folders of their own; pass one of them: "
                f"{', '.join(map(str, inside[:8]))}"
            )
        raise NotFoundError(
            f"{folder}: holds no adapter_config.json; pass a folder of Hugging Face's peft, or a "
            "checkpoint file"
        )
    if not huggingface_peft.is_peft_folder(folder):
        raise InputError(f"{folder}: is already an adapter folder of samzoo; use it as it is")
    pickled = folder / "adapter_model.bin"
    weights = folder / ADAPTER_WEIGHTS_FILE
    tensors = read_flat(pickled if pickled.is_file() and not weights.is_file() else weights)
    if not (folder / OUR_CONFIG).is_file():
        return huggingface_peft.read(folder, tensors, base)
    ours = _read_our_config(folder / OUR_CONFIG, base)
    where = str(folder / OUR_CONFIG)
    settings = factored_settings(ours.method, ours.hyperparameters, where=where)
    fused = [m for m in settings.matrices if m in FUSED]
    foreign = huggingface_peft.read(folder, tensors, base, matrices=fused or None)
    ais = read_tensors(folder / AIS_FILE) if (folder / AIS_FILE).is_file() else {}
    return Foreign(
        method=ours.method,
        hyperparameters={**foreign.hyperparameters, "blocks": settings.blocks},
        tensors={
            **foreign.tensors,
            **{AIS_DECODER_PREFIX + name: value for name, value in ais.items()},
        },
        ais_decoder=ours.architecture.ais_decoder,
        preprocessing=ours.preprocessing,
        ais=ours.ais,
        point_output=ours.architecture.mask_decoder.point_output,
        source={**ours.source, **foreign.source},
    )


def _read_our_config(path: Path, base: Base) -> AdapterConfig:
    config = read_adapter_config(path)
    if config.base_digest != base.config.weights_digest:
        raise WrongBaseError(
            f"{path}: base_digest is {shown(config.base_digest)}, the base {base.folder} has "
            f"{base.config.weights_digest}; pass the base it was trained on with --base"
        )
    return config


def read_checkpoint_file(path: Path, *, key: str | None = None) -> Tensors:
    """Read a checkpoint's tensors without running any code in it.

    Args:
        path: The file.
        key: Where the adapter is, if the file holds several; see ``read_state_dicts``.

    Returns:
        Tensors by name in float32; weights that bitsandbytes packed stay as they are.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, or is damaged.
        StorageError: The file cannot be read.
    """
    found = read_state_dicts(path, key=key)
    tensors = {
        **found.model,
        **{AIS_DECODER_PREFIX + name: value for name, value in found.decoder.items()},
    }
    packed = {split_quantized(name)[0] for name in tensors if split_quantized(name)[1]}
    kept = {n: v for n, v in tensors.items() if split_quantized(n)[0] in packed}
    weights = as_weights({n: v for n, v in tensors.items() if n not in kept}, where=str(path))
    return {**weights, **kept}
