"""Writing of a base or model as a checkpoint for other tools.

In: a base or model folder. Out: a file or folder that segment-anything, micro-sam or Hugging Face
load strictly. ``conversion.py`` does the reverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import InputError, NotFoundError, shown
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.layer_shapes import under
from samzoo.runtime.formats.families.table import family_of
from samzoo.runtime.formats.files import write_json, write_tensors
from samzoo.runtime.formats.folders import CONFIG_FILE, WEIGHTS_FILE, read_model_folder
from samzoo.runtime.formats.outputs import (
    check_output,
    check_output_folder,
    replacing,
    write_folder,
)
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX, ENCODER_PREFIX
from samzoo.zoo.checkpoints.tools.differences import (
    HUGGINGFACE,
    MICRO_SAM,
    SEGMENT_ANYTHING,
    ToolPath,
    holds_decoder,
    tell_differences,
)
from samzoo.zoo.checkpoints.tools.folded_statistics import fold_statistics, takes_sam_statistics

from .conversion import check_shapes
from .huggingface import config_of, processors_of
from .huggingface_names import to_huggingface
from .state_dicts import DECODER_STATE, MODEL_STATE

Target = Literal["segment-anything", "micro-sam", "huggingface"]

TOOL_PATHS: dict[str, ToolPath] = {
    path.name: path for path in (SEGMENT_ANYTHING, MICRO_SAM, HUGGINGFACE)
}

SUFFIXES = (".pth", ".pt")


def write_checkpoint(
    source: Path,
    output: Path,
    *,
    to: Target,
    decoder: Path | None = None,
    force: bool = False,
) -> list[Path]:
    """Write a base or model for another tool.

    Args:
        source: The folder of a base or a model.
        output: ``segment-anything`` and ``micro-sam``: a ``.pth`` or ``.pt`` file;
            ``huggingface``: a folder.
        to: ``segment-anything`` writes a bare state dict, as MobileSAM and LiteMedSAM also use;
            ``micro-sam`` adds the AIS decoder; ``huggingface`` writes a ``SamModel`` with its
            config and processor files.
        decoder: With ``micro-sam``, write the AIS decoder into this file; ``output`` is then a bare
            state dict, which other tools read too.
        force: Replace existing outputs.

    Returns:
        The paths written: ``output``, and ``decoder`` if given.

    Raises:
        NotFoundError: There is no such folder.
        FormatError: The folder is damaged.
        InputError: The target cannot hold this model, or an output cannot be used.
        MissingDependencyError: The output is a PyTorch file, and torch is not installed.
        StorageError: The disk is full or an output cannot be written.
    """
    outputs = _check_outputs(source, output, to=to, decoder=decoder, force=force)
    config, tensors = read_model_folder(source)
    if config.architecture.image_encoder.adaptformer is not None:
        raise InputError(
            f"{source}: has AdaptFormer's bottlenecks beside its MLPs. They do not fold into SAM's "
            "weights, and no other tool's SAM has them; export the model to ONNX instead"
        )
    check_shapes(tensors, config.architecture, where=str(source))
    sam, ais = split_ais(tensors)
    tell_differences(config, TOOL_PATHS[to], where=str(source))
    if to == "huggingface":
        config_of(config.architecture)  # refuses before the folder is made
        write_folder(output, partial(write_huggingface, config=config, sam=sam), force=force)
        return outputs
    sam = bare_state_dict(config, tensors)
    unetr = holds_decoder(config, MICRO_SAM)
    if decoder is not None and not unetr:
        raise InputError(f"{source}: has no AIS decoder of micro-sam's; leave decoder out")
    if to == "micro-sam" and unetr and decoder is None:
        save_torch(output, {MODEL_STATE: sam, DECODER_STATE: ais})
    else:
        if decoder is not None:
            save_torch(decoder, ais)
        save_torch(output, sam)
    return outputs


def split_ais(tensors: Tensors) -> tuple[Tensors, Tensors]:
    """Separate SAM's weights from the AIS decoder's, both in float32.

    Args:
        tensors: A model's weights by the names of a model folder.

    Returns:
        SAM's tensors, and the AIS decoder's by their names in its own network.
    """
    weights = {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in tensors.items()
    }
    sam = {
        name: value for name, value in weights.items() if not name.startswith(AIS_DECODER_PREFIX)
    }
    ais = {
        name.removeprefix(AIS_DECODER_PREFIX): value
        for name, value in weights.items()
        if name.startswith(AIS_DECODER_PREFIX)
    }
    return sam, ais


def bare_state_dict(config: ModelConfig, tensors: Tensors) -> Tensors:
    """Return the weights that segment-anything or MobileSAM load strictly, without an AIS decoder.

    Args:
        config: The model's config.
        tensors: The model's weights by the names of a model folder.

    Returns:
        Float32 tensors by segment-anything's names. Pixel statistics other than SAM's are folded
        into the first layer, since tools normalise with SAM's; not so for LiteMedSAM's network,
        whose own tool takes images in 0..1.
    """
    sam = split_ais(tensors)[0]
    if takes_sam_statistics(config):
        sam = fold_statistics(config.preprocessing, sam)
    return {**sam, **_unused(config)}


def _check_outputs(
    source: Path, output: Path, *, to: Target, decoder: Path | None, force: bool
) -> list[Path]:
    if to not in get_args(Target):
        raise InputError(f"to: found {shown(to)}, allowed: {', '.join(get_args(Target))}")
    if not source.is_dir() or not (source / CONFIG_FILE).is_file():
        raise NotFoundError(
            f"{source}: not the folder of a base or model; run samzoo convert on a checkpoint first"
        )
    if decoder is not None and to != "micro-sam":
        raise InputError("decoder: writes micro-sam's AIS decoder; it needs to='micro-sam'")
    if to == "huggingface":
        check_output_folder(output, force=force, inputs=[source])
        return [output]
    require("torch", extra="export")
    files = [output] if decoder is None else [output, decoder]
    for file in files:
        if file.suffix not in SUFFIXES:
            raise InputError(f"{file}: a checkpoint's name must end in .pth or .pt")
        check_output(file, force=force, inputs=[source])
        if file.is_dir():
            raise InputError(f"{file}: is a folder; give a file name")
    if decoder is not None and decoder.resolve() == output.resolve():
        raise InputError(f"{decoder}: is also the output for the encoder; choose another name")
    return files


def _unused(config: ModelConfig) -> Tensors:
    """Make the tensors that the published network has and never uses: norms of 1, zeros else."""
    encoder = config.architecture.image_encoder
    shapes = under(ENCODER_PREFIX.rstrip("."), family_of(encoder).unused(encoder))
    return {
        name: np.full(shape, name.endswith(".weight") and len(shape) == 1, np.float32)
        for name, shape in shapes.items()
    }


def save_torch(path: Path, state: Mapping[str, Any]) -> None:
    """Write arrays as a PyTorch file that loads with ``weights_only=True``.

    Args:
        path: The file; an error leaves no partial file.
        state: Arrays by name, or mappings of this kind by name.

    Raises:
        MissingDependencyError: torch is not installed.
        StorageError: The disk is full or the file cannot be written.
    """
    torch = require("torch", extra="export")
    # Into an open file: given a path, torch would write its name into the archive.
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(_torch(state), file)


def _torch(state: Mapping[str, Any]) -> dict[str, Any]:
    torch = require("torch", extra="export")
    if any(isinstance(value, Mapping) for value in state.values()):
        return {name: _torch(value) for name, value in state.items()}
    return {name: torch.from_numpy(np.array(state[name])) for name in sorted(state)}


def write_huggingface(folder: Path, config: ModelConfig, sam: Tensors) -> None:
    """Write a ``SamModel`` with both of its processor files into a folder.

    Args:
        folder: An existing folder.
        config: The model's config.
        sam: The model's weights without an AIS decoder, float32.

    Raises:
        InputError: The image encoder is not a ViT.
    """
    header = config_of(config.architecture)
    names = to_huggingface(sam, config.architecture.mask_decoder.iou_head_depth)
    renamed = {new: sam[name] for name, news in names.items() for new in news}
    write_tensors(folder / WEIGHTS_FILE, renamed, {"format": "pt"})
    for name, processor in processors_of(config).items():
        write_json(folder / name, processor)
    write_json(folder / CONFIG_FILE, header)
