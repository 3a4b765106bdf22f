"""Folding of an adapter into its base: full-precision weights under the original SAM names.

In: an adapter folder and the base it was trained on. Out: a model folder. Merging is arithmetic on
arrays, so it needs no torch. It reads, folds and writes one layer after the other, so it needs no
more memory than one layer takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError, shown
from samzoo.runtime.formats.adapter import (
    ADAPTER_CONFIG_FILE,
    AdapterConfig,
    base_folder,
    check_base,
    open_adapter,
    read_adapter_config,
)
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.formats.folders import CONFIG_FILE, WEIGHTS_FILE, open_model_folder
from samzoo.runtime.formats.outputs import check_output_folder, write_folder
from samzoo.runtime.formats.tensor_files import TensorFile, stream_tensors
from samzoo.training.methods import get_method

from .merged_weights import (
    DEFAULT_QLORA_BASE,
    QLORA_BASES,
    MergedWeights,
    QloraBase,
    check_qlora_base,
)


def merge(
    adapter: Path,
    output: Path,
    *,
    base: Path | None = None,
    qlora_base: QloraBase = DEFAULT_QLORA_BASE,
    force: bool = False,
) -> ModelConfig:
    """Fold an adapter into its base and write the model folder, in the memory of one layer.

    A method that does not fold (``METHODS[...].folds``) leaves its tensors as extra weights of
    the model, which the config's architecture describes.

    Args:
        adapter: The adapter's folder.
        output: The model folder to write.
        base: The base's folder; by default the folder where it lay while training.
        qlora_base: Fold a QLoRA adapter into the ``dequantized`` weights it was trained on, or into
            the ``original`` ones. For other methods, only the default is allowed.
        force: Replace an existing ``output``.

    Returns:
        The model's config.

    Raises:
        NotFoundError: A file is missing.
        WrongBaseError: The base is not the one the adapter was trained on.
        FormatError: A file is damaged, shapes do not fit, or a merged value is not finite.
        InputError: The method or an argument is unknown, or ``qlora_base`` is not for the adapter.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.

    Example:
        ``run`` is an adapter folder, as training writes it.

        >>> from pathlib import Path
        >>> from samzoo.zoo import merge
        >>> config = merge(Path("run"), Path("model"))
        >>> config.source["merged_from"]["method"]
        'lora'
        >>> sorted(path.name for path in Path("model").iterdir())
        ['config.json', 'model.safetensors']
    """
    check_output_folder(output, force=force, inputs=input_folders(adapter, base))
    check_qlora_base(qlora_base, [read_adapter_config(adapter / ADAPTER_CONFIG_FILE).method])
    config, base_digest, weights = _open(adapter, base, qlora_base)
    written: list[ModelConfig] = []

    def fill(folder: Path) -> None:
        digest = stream_tensors(folder / WEIGHTS_FILE, weights, weights.info, {"format": "pt"})
        written.append(_model_config(config, base_digest, digest, qlora_base))
        write_json(folder / CONFIG_FILE, written[0].to_json())

    write_folder(output, fill, force=force)
    return written[0]


def input_folders(adapter: Path, base: Path | None) -> list[Path]:
    """List the folders that a merge reads, and which it must therefore not overwrite.

    Raises:
        NotFoundError: There is no adapter.
        FormatError: Its config is damaged.
    """
    hint = read_json(adapter / ADAPTER_CONFIG_FILE).get("base_path") if base is None else base
    return [adapter, Path(hint)] if hint and isinstance(hint, (str, Path)) else [adapter]


def merged(
    adapter: Path, *, base: Path | None = None, qlora_base: QloraBase = DEFAULT_QLORA_BASE
) -> tuple[ModelConfig, Tensors]:
    """Fold an adapter into its base, in memory.

    Returns:
        The model's config and its weights by original SAM names.

    Raises:
        NotFoundError: A file is missing.
        WrongBaseError: The base is not the one the adapter was trained on.
        FormatError: A file is damaged, shapes do not fit, or a merged value is not finite.
        InputError: The method or an argument is unknown.
    """
    config, base_digest, weights = _open(adapter, base, qlora_base)
    tensors = dict(weights)
    return _model_config(config, base_digest, weights_digest(tensors), qlora_base), tensors


def _open(
    adapter: Path, base: Path | None, qlora_base: QloraBase
) -> tuple[AdapterConfig, str, MergedWeights]:
    """Check everything that can be checked without merging."""
    if qlora_base not in QLORA_BASES:
        raise InputError(
            f"qlora_base: found {shown(qlora_base)}, allowed: {', '.join(QLORA_BASES)}"
        )
    config, delta = open_adapter(adapter)
    where = str(
        adapter / ADAPTER_CONFIG_FILE
    )  # checked before the base is read, which takes longer
    get_method(config.method).settings(config.hyperparameters, where=where)
    base_config, tensors = _open_base(config, adapter, base)
    weights = MergedWeights(config, tensors, delta, base_config.architecture, qlora_base=qlora_base)
    return config, base_config.weights_digest, weights


def _open_base(
    config: AdapterConfig, adapter: Path, base: Path | None
) -> tuple[ModelConfig, TensorFile]:
    folder = base_folder(config, adapter, base)
    base_config, tensors = open_model_folder(folder)
    check_base(config, adapter, folder, base_config.weights_digest)
    return base_config, tensors


def _model_config(
    config: AdapterConfig, base_digest: str, digest: str, qlora_base: QloraBase
) -> ModelConfig:
    method = get_method(config.method)
    merged_from: dict[str, Any] = {
        "adapter_digest": config.adapter_digest,
        "base_digest": base_digest,
        "method": config.method,
        "hyperparameters": config.hyperparameters,
    }
    if method.quantized is not None:
        merged_from["qlora_base"] = qlora_base
    return ModelConfig(
        architecture=config.architecture,
        preprocessing=config.preprocessing,
        ais=config.ais,
        weights_digest=digest,
        source={"merged_from": merged_from, **config.source},
    )
