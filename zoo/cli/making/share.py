"""``samzoo share``: a package of several adapters over one encoder, or of adapters alone."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.options import (
    add_base,
    add_output,
    add_precision,
    add_qlora_base,
    add_texts,
)
from samzoo.zoo.cli.verb import Result, Verb

if TYPE_CHECKING:
    from samzoo.runtime.formats.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class ShareOptions:
    """The adapters, whose encoder they use, and the package."""

    adapters: tuple[Path, ...]
    names: tuple[str, ...] | None
    add_to: str | None
    over: str | None
    base: Path | None
    qlora_base: Literal["original", "dequantized"] | None
    precision: Literal["fp32", "fp16", "int8-weights", "int8"] | None
    name: str | None
    segments: str | None
    with_weights: bool
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the adapters, the encoder and the package."""
    parser.add_argument(
        "adapters", nargs="+", type=Path, metavar="ADAPTER",
        help="folder of a LoRA adapter; all must have the same base",
    )  # fmt: skip
    add_output(parser, "package folder to write")
    parser.add_argument(
        "--names", nargs="+", metavar="NAME",
        help="names of the adapters in the package, in their order (default: the folders' names)",
    )  # fmt: skip
    parser.add_argument(
        "--add-to", metavar="PACKAGE",
        help="take the encoder and the adapters of this package, and add the new ones",
    )  # fmt: skip
    parser.add_argument(
        "--over", metavar="PACKAGE",
        help="write only the adapters, as a small package that uses this package's encoder",
    )  # fmt: skip
    add_precision(parser)
    add_texts(parser)
    parser.add_argument(
        "--with-weights", action="store_true",
        help="also store the first adapter's merged weights, from which samzoo export makes the "
        "formats of other tools",
    )  # fmt: skip
    add_base(parser)
    add_qlora_base(parser)


def run(options: ShareOptions) -> Result:
    """Make a package of adapters."""
    manifest = _share(options, _sources(options.adapters, options.names))
    return {
        "text": str(options.output),
        "package": str(options.output),
        "name": manifest.name,
        "adapters": [entry.name for entry in manifest.adapters],
        "files": [entry.path for entry in manifest.files],
    }


def _sources(folders: tuple[Path, ...], given: tuple[str, ...] | None) -> dict[str, Path]:
    """Return the adapters by name."""
    from samzoo.zoo.packages.assembly import package_name

    names = given or tuple(package_name(folder.absolute()) for folder in folders)
    if len(names) != len(folders):
        raise InputError(
            f"--names: expected {len(folders)} names, one for each adapter, found {len(names)}"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        quoted = ", ".join(map(repr, twice))
        raise InputError(f"two adapters are called {quoted}; name them with --names")
    return dict(zip(names, folders, strict=True))


def _share(options: ShareOptions, sources: dict[str, Path]) -> Manifest:
    from samzoo.zoo.cli.qlora_choice import chosen_qlora_base
    from samzoo.zoo.hub.huggingface_hub import HUB_PREFIX, pinned
    from samzoo.zoo.hub.names import resolve
    from samzoo.zoo.packages.adapter_assembly import export_adapters
    from samzoo.zoo.packages.shared_assembly import add_adapters, export_shared

    output = options.output
    common: dict[str, Any] = {"base": options.base, "force": options.force}
    texts: dict[str, Any] = {"name": options.name, "segments": options.segments or ""}
    if options.with_weights and (options.over or options.add_to):
        raise InputError("--with-weights is for a package with an encoder of its own; omit it")
    if options.over is not None:
        if options.add_to is not None or options.precision is not None:
            raise InputError("--over uses the encoder as it is; omit --add-to and --precision")
        over = resolve(options.over)
        reference = pinned(options.over, over) if options.over.startswith(HUB_PREFIX) else ""
        common["qlora_base"] = chosen_qlora_base(options.qlora_base, options.adapters)
        return export_adapters(sources, output, over=over, reference=reference, **texts, **common)
    if options.add_to is not None:
        if options.name or options.segments or options.precision:
            raise InputError(
                "--name, --segments and --precision are those of the package in --add-to; omit them"
            )
        package = resolve(options.add_to)
        common["qlora_base"] = chosen_qlora_base(options.qlora_base, options.adapters)
        return add_adapters(package, sources, output, **common)
    common["qlora_base"] = chosen_qlora_base(options.qlora_base, options.adapters)
    return export_shared(
        sources, output, precision=options.precision or "fp32", with_weights=options.with_weights,
        **texts, **common,
    )  # fmt: skip


VERB = Verb(
    purpose="make a package of several adapters over one encoder",
    example="samzoo share run-a run-b -o package",
    options=ShareOptions,
    add_options=add_options,
    run=run,
)
