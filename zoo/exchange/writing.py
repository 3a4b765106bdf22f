"""Writing of an adapter folder as another tool's files.

In: an adapter of ours and its base. Out: a checkpoint that micro-sam loads, or a folder for Hugging
Face's ``peft``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError, shown
from samzoo.runtime.formats.adapter import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    AdapterConfig,
    base_folder,
    check_base,
    read_adapter,
    write_adapter_config,
)
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.table import family_of
from samzoo.runtime.formats.families.vit import vit_of
from samzoo.runtime.formats.files import write_json, write_tensors
from samzoo.runtime.formats.outputs import (
    check_output,
    check_output_folder,
    replacing,
    write_folder,
)
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX
from samzoo.training.methods import METHODS, get_method
from samzoo.zoo.checkpoints.base import Base, read_base
from samzoo.zoo.checkpoints.tools.differences import (
    MICRO_SAM,
    PEFT_PATH,
    ToolPath,
    holds_decoder,
    lost_answers,
    preparation_sentence,
)
from samzoo.zoo.checkpoints.tools.folded_statistics import fold_statistics, takes_sam_statistics

from . import peft_writing
from .foreign import check_adapter
from .micro_sam_writing import decoder_state, peft_kwargs, save_checkpoint, state_dict
from .reading import AIS_FILE, OUR_CONFIG

PEFT, PEFT_ORIGINAL = "peft", "peft-segment-anything"

TARGETS = ("micro-sam", PEFT, PEFT_ORIGINAL)
"""Tools that an adapter can be written for. ``peft`` is over Hugging Face's ``SamModel``, where
there is one, else over segment-anything's ``Sam``, as ``peft-segment-anything`` always is."""


def write_foreign_adapter(
    adapter: Path, output: Path, *, to: str, base: Path | None = None, force: bool = False
) -> dict[str, Any]:
    """Write an adapter for another tool.

    Args:
        adapter: The adapter's folder.
        output: A ``.pt`` file for ``micro-sam``, else a folder.
        to: One of ``TARGETS``.
        base: The base's folder; by default the folder where it lay while training. micro-sam's
            checkpoints hold its frozen weights again.
        force: Replace an existing ``output``.

    Returns:
        ``target``; ``notes``, which tell what the file cannot hold; and for ``micro-sam`` also
        ``peft_kwargs``, which ``get_sam_model`` needs to load the file (None: nothing needed).

    Raises:
        NotFoundError: A file is missing.
        WrongBaseError: The base is not the adapter's.
        FormatError: A file is damaged, or tensors do not fit.
        InputError: The target cannot compute the same.
        MissingDependencyError: ``to`` is ``micro-sam``, and torch is not installed.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: The disk is full or the output cannot be written.
    """
    if to not in TARGETS:
        raise InputError(f"to: found {shown(to)}, allowed: {', '.join(TARGETS)}")
    inputs = [adapter, *([base] if base is not None else [])]
    if to == "micro-sam":
        if output.suffix not in (".pt", ".pth"):
            raise InputError(
                f"{output}: the name of micro-sam's checkpoint must end in .pt or .pth"
            )
        check_output(output, force=force, inputs=inputs)
    else:
        check_output_folder(output, force=force, inputs=inputs)
    config, tensors, read = _read(adapter, base)
    settings = get_method(config.method).settings(config.hyperparameters, where=str(adapter))
    if to == "micro-sam":
        return _write_micro_sam(output, config, settings, tensors, read)
    return _write_peft(output, config, settings, tensors, read, to=to, force=force)


def _read(adapter: Path, base: Path | None) -> tuple[AdapterConfig, Tensors, Base]:
    config, tensors = read_adapter(adapter)
    folder = base_folder(config, adapter, base)
    read = read_base(folder)
    check_base(config, adapter, folder, read.config.weights_digest)
    check_adapter(config, tensors, read, where=str(adapter))
    return config, tensors, read


def _write_micro_sam(
    output: Path,
    config: AdapterConfig,
    settings: Any,
    tensors: Tensors,
    base: Base,
) -> dict[str, Any]:
    state = state_dict(config.method, settings, tensors, base)
    notes = _notes(config, MICRO_SAM)
    model = _model_config(config)
    if takes_sam_statistics(model):
        state = fold_statistics(config.preprocessing, state)
    decoder: Tensors | None = None
    if holds_decoder(model, MICRO_SAM):
        decoder = decoder_state(tensors)
    elif config.architecture.ais_decoder is not None:
        notes.append("the AIS decoder is left out: micro-sam has another network")
    with replacing(output) as temporary:
        save_checkpoint(temporary, state, decoder)
    arguments = peft_kwargs(config.method, settings, base)
    return {"target": "micro-sam", "peft_kwargs": arguments, "notes": notes}


def _notes(config: AdapterConfig, path: ToolPath) -> list[str]:
    """Say how the tool's preparation of images and its answers differ."""
    model = _model_config(config)
    told = [preparation_sentence(model, path), *lost_answers(model, path)]
    return [f"{path.name}: {sentence}" for sentence in told if sentence]


def _model_config(config: AdapterConfig) -> ModelConfig:
    """Return the config of the model that an adapter makes, as far as tools ask for it."""
    return ModelConfig(
        architecture=config.architecture, preprocessing=config.preprocessing, ais=config.ais
    )


def _write_peft(
    output: Path,
    config: AdapterConfig,
    settings: Any,
    tensors: Tensors,
    base: Base,
    *,
    to: str,
    force: bool,
) -> dict[str, Any]:
    plain = [n for n, row in METHODS.items() if row.factored and row.quantized is None]
    if config.method not in plain:
        raise InputError(
            f"method: found {config.method!r}; peft folders can hold {' and '.join(plain)}. "
            "Merge the adapter (samzoo merge) and export the model instead"
        )
    encoder = base.config.architecture.image_encoder
    sam_model = to == PEFT and vit_of(encoder) is not None
    theirs, state = peft_writing.write(settings, tensors, base, sam_model=sam_model)
    ais = {
        n.removeprefix(AIS_DECODER_PREFIX): v
        for n, v in tensors.items()
        if n.startswith(AIS_DECODER_PREFIX)
    }

    def fill(folder: Path) -> None:
        write_tensors(folder / ADAPTER_WEIGHTS_FILE, state, {"format": "pt"})
        if ais:
            write_tensors(folder / AIS_FILE, ais, {"format": "pt"})
        write_adapter_config(folder / OUR_CONFIG, config)
        write_json(folder / ADAPTER_CONFIG_FILE, theirs)

    write_folder(output, fill, force=force)
    notes = _notes(config, PEFT_PATH)
    notes += [f"the AIS decoder is in {AIS_FILE}, which peft does not read"] if ais else []
    if to == PEFT and not sam_model:
        noun = family_of(encoder).noun
        notes.append(f"it is for the original network, since no SamModel has a {noun}")
    model = "Hugging Face's SamModel" if sam_model else "segment-anything's Sam"
    notes.append(f"load it with peft.PeftModel.from_pretrained(model, FOLDER) over {model}")
    return {"target": to, "notes": notes}
