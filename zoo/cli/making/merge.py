"""``samzoo merge``: fold an adapter into its base."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from samzoo.runtime.formats.fields import to_json
from samzoo.zoo.cli.options import add_base, add_output, add_qlora_base
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """The adapter, its base and the model."""

    adapter: Path
    base: Path | None
    qlora_base: Literal["original", "dequantized"] | None
    verify: Path | None
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the adapter, its base and the model."""
    parser.add_argument("adapter", type=Path, metavar="ADAPTER", help="adapter folder")
    add_output(parser, "model folder to write")
    add_base(parser)
    add_qlora_base(parser)
    parser.add_argument(
        "--verify", type=Path, metavar="IMAGE",
        help="also compare the model with the adapter's own network on this image (needs torch)",
    )  # fmt: skip


def run(options: MergeOptions) -> Result:
    """Fold an adapter into its base."""
    from samzoo.runtime.images.reading import read_image
    from samzoo.training.methods import get_method
    from samzoo.zoo.cli.qlora_choice import chosen_qlora_base
    from samzoo.zoo.merging.comparison import merge_differences, require_packages
    from samzoo.zoo.merging.folding import merge

    adapter, output = options.adapter, options.output
    qlora_base = chosen_qlora_base(options.qlora_base, [adapter])
    image = None if options.verify is None else read_image(options.verify)
    if image is not None:
        require_packages(adapter)
    config = merge(
        adapter, output, base=options.base, qlora_base=qlora_base, force=options.force
    )  # fmt: skip
    result: Result = {"model": str(output), "weights_digest": config.weights_digest}
    method = config.source["merged_from"]["method"]
    if not get_method(method).folds:
        note = f"{method} does not fold: its tensors are extra weights of the model"
        result["notes"] = [note]
    if image is not None:
        rows = merge_differences(adapter, output, image, base=options.base)
        result["differences"] = [to_json(row) for row in rows]
        result["notes"] = [*result.get("notes", ()), *map(str, rows)]
    return {"text": str(output), **result}


VERB = Verb(
    purpose="fold an adapter into its base",
    example="samzoo merge run -o model",
    options=MergeOptions,
    add_options=add_options,
    run=run,
)
