"""``samzoo methods``: the finetuning methods and what they train."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.verb import Result, Verb

DEFAULT_ARCHITECTURE = "vit_b"


@dataclass(frozen=True, kw_only=True)
class MethodsOptions:
    """The architecture, and whether to print the whole page."""

    arch: str | None
    markdown: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the architecture and the form."""
    parser.add_argument(
        "--arch", metavar="NAME",
        help="architecture: vit_b (default), vit_l, vit_h, vit_t, vit_t_256, or that of a base "
        "folder",
    )  # fmt: skip
    parser.add_argument("--markdown", action="store_true", help="print the page docs/methods.md")


def run(options: MethodsOptions) -> Result:
    """List the finetuning methods."""
    from samzoo.zoo.reports.methods_document import methods_page
    from samzoo.zoo.reports.methods_listing import architecture_named, method_rows, method_table

    if options.markdown:
        if options.arch is not None:
            raise InputError("--markdown: the page has all architectures; omit --arch")
        page = methods_page().rstrip("\n")
        return {"text": page, "page": page}
    name = options.arch or DEFAULT_ARCHITECTURE
    architecture = architecture_named(name)
    return {
        "text": method_table(architecture),
        "arch": name,
        "methods": method_rows(architecture),
    }


VERB = Verb(
    purpose="list the finetuning methods and what they train",
    example="samzoo methods --arch vit_t",
    options=MethodsOptions,
    add_options=add_options,
    run=run,
)
