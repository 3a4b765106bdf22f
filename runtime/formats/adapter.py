"""The adapter folder: what training adds to a base, and where it came from.

In: tensors of a trained model, or an adapter's folder. Out: ``adapter_config.json`` and
``adapter_model.safetensors``, or what they hold: the encoder's delta, and the finetuned prompt
encoder, mask decoder and AIS decoder, never the frozen encoder. Training writes adapters, the
merge reads them without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, NotFoundError, WrongBaseError, shown

from .architecture import Architecture
from .arrays import Tensors
from .config import AisParameters, Preprocessing
from .digest import weights_digest
from .families.layer_shapes import BATCH_NORM_COUNTER
from .fields import check_format, from_json, to_json
from .files import read_json, write_json, write_tensors
from .folders import CONFIG_FILE
from .prefixes import ENCODER_PREFIX
from .tensor_files import TensorFile

ADAPTER_FORMAT, ADAPTER_VERSION = "samzoo-adapter", 1
ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"

NEXT_CONFIG_FILE = "adapter_config.next.json"
"""The config of weights that are being written; a crash may leave it."""


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """The content of ``adapter_config.json``.

    Attributes:
        method: The method's name in ``samzoo.training.methods.METHODS``.
        hyperparameters: The method's settings.
        base_digest: Weights digest of the base it was trained on; merge refuses others.
        base_path: Where the base lay while training; a hint only.
        architecture: The finetuned model's networks, AIS decoder included.
        preprocessing: What the adapter was trained with.
        ais: Thresholds for the automatic segmentation.
        adapter_digest: Weights digest of ``adapter_model.safetensors``.
        source: Provenance: the base's source, data, settings, seed, scores, software, licence.
    """

    method: str
    base_digest: str
    architecture: Architecture
    preprocessing: Preprocessing
    ais: AisParameters
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    base_path: str = ""
    adapter_digest: str = ""
    source: dict[str, Any] = field(default_factory=dict)


def write_adapter(folder: Path, config: AdapterConfig, tensors: Tensors) -> None:
    """Write both files into an existing folder, over those of an older adapter, too.

    The config is written twice, before the weights as ``adapter_config.next.json``. So a crash
    between the two files leaves a whole adapter: the new one; see ``open_adapter``.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    config = replace(config, adapter_digest=weights_digest(tensors))
    following = folder / NEXT_CONFIG_FILE
    try:
        write_adapter_config(following, config)
        write_tensors(folder / ADAPTER_WEIGHTS_FILE, tensors, {"format": ADAPTER_FORMAT})
        write_adapter_config(folder / ADAPTER_CONFIG_FILE, config)
    finally:
        with suppress(OSError):
            following.unlink(missing_ok=True)


def write_adapter_config(path: Path, config: AdapterConfig) -> None:
    """Write an adapter's config, atomically.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    header = {"format": {"name": ADAPTER_FORMAT, "version": ADAPTER_VERSION}}
    write_json(path, {**header, **to_json(config)})


def read_adapter_config(path: Path) -> AdapterConfig:
    """Read and check an adapter's config.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is damaged or from a newer samzoo.
    """
    value = read_json(path)
    if "peft_type" in value:
        raise FormatError(
            f"{path}: is the config of an adapter of Hugging Face's peft; make an adapter of "
            f"samzoo from it: samzoo adapter read {path.parent} --base BASE -o ADAPTER"
        )
    check_format(value, ADAPTER_FORMAT, ADAPTER_VERSION, where=str(path))
    value.pop("format")
    return from_json(AdapterConfig, value, where=str(path))


def is_adapter(folder: Path) -> bool:
    """Tell whether a folder holds an adapter."""
    return (folder / ADAPTER_CONFIG_FILE).is_file()


def read_adapter(folder: Path) -> tuple[AdapterConfig, Tensors]:
    """Read and check an adapter folder.

    Args:
        folder: The adapter's folder.

    Returns:
        The config, and the tensors by name.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, from a newer samzoo, or they do not belong together.
    """
    config, tensors = open_adapter(folder)
    return config, dict(tensors)


def open_adapter(folder: Path) -> tuple[AdapterConfig, TensorFile]:
    """Open an adapter folder, with the checks of ``read_adapter``, without loading it.

    Returns:
        The config, and a mapping that reads each tensor when it is asked for.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, from a newer samzoo, or they do not belong together.
    """
    path = folder / ADAPTER_CONFIG_FILE
    config = read_adapter_config(path)
    tensors = TensorFile(folder / ADAPTER_WEIGHTS_FILE)
    check_floating(tensors.info, where=str(tensors.path))
    digest = weights_digest(tensors)
    if digest != config.adapter_digest:
        if (folder / NEXT_CONFIG_FILE).is_file():  # writing was cut off
            following = read_adapter_config(folder / NEXT_CONFIG_FILE)
            if digest == following.adapter_digest:
                return following, tensors
        raise FormatError(
            f"{path}: adapter_digest is {shown(config.adapter_digest)}, but "
            f"{ADAPTER_WEIGHTS_FILE} has {digest}; the files do not belong together"
        )
    return config, tensors


def check_floating(dtypes: Mapping[str, Any], *, where: str) -> None:
    """Refuse an adapter's tensors of integers, which are no weights and would be rounded.

    Args:
        dtypes: NumPy's names of the tensors' dtypes, or what has such a ``dtype``, by tensor.
        where: The file, for messages.

    Raises:
        FormatError: A tensor has another dtype; BatchNorm's counters alone are integers.
    """
    for name, found in dtypes.items():
        dtype = str(getattr(found, "dtype", found))
        if not dtype.startswith("float") and not name.endswith(f".{BATCH_NORM_COUNTER}"):
            raise FormatError(
                f"{where}: tensor {shown(name)}: found {dtype}, allowed are float16, float32 and "
                "float64"
            )


def base_folder(config: AdapterConfig, adapter: Path, base: Path | None) -> Path:
    """Return the folder of an adapter's base: the user's, or the one it was trained with.

    Raises:
        NotFoundError: Neither the user nor the adapter names a folder, or it holds no base.
    """
    if base is None and not config.base_path:
        raise NotFoundError(f"{adapter}: does not say where its base is; pass --base BASE")
    folder = base or Path(config.base_path)
    if not (folder / CONFIG_FILE).is_file():
        hint = "pass --base with the base's folder" if base is None else "check the path"
        raise NotFoundError(
            f"{folder}: the base of {adapter} is not there ({CONFIG_FILE} missing); {hint}"
        )
    return folder


def check_base(config: AdapterConfig, adapter: Path, folder: Path, digest: str) -> None:
    """Refuse a base that an adapter was not trained on.

    Raises:
        WrongBaseError: The base's ``digest`` is not the one in the adapter's config.
    """
    if digest != config.base_digest:
        raise WrongBaseError(
            f"{folder}: weights digest {digest} is not that of the base that {adapter} was "
            f"trained on ({config.base_digest}); pass the right one with --base"
        )


def adapter_tensors(state: Mapping[str, Any], encoder_delta: set[str]) -> Tensors:
    """Pick the tensors that an adapter stores out of a whole model's state.

    Args:
        state: All tensors of a ``Sam`` by name.
        encoder_delta: Names under ``image_encoder.`` that the method trained.

    Returns:
        The delta, and all of the prompt encoder, mask decoder and AIS decoder.
    """
    return {
        name: value
        for name, value in state.items()
        if not name.startswith(ENCODER_PREFIX) or name in encoder_delta
    }
