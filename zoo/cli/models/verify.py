"""``samzoo verify``: check that a package is complete and gives the results it should."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass

from samzoo.runtime.errors import FormatError
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Which package."""

    reference: str


def add_options(parser: ArgumentParser) -> None:
    """Add the package."""
    parser.add_argument(
        "reference", metavar="PATH-or-REF", help="package folder or model name (see samzoo list)"
    )


def run(options: VerifyOptions) -> Result:
    """Check a package."""
    from samzoo.zoo.hub.names import resolve
    from samzoo.zoo.packages.verification import verify

    folder = resolve(options.reference)
    report = verify(folder)
    if not report.ok:
        count = len(report.problems)
        raise FormatError(
            "\n  ".join([f"{folder}: {count} problem{'s' if count > 1 else ''}", *report.problems])
        )
    return {
        "text": "\n".join(f"ok  {line}" for line in report.proved),
        "folder": str(folder),
        "proved": report.proved,
        "differences": report.differences,
    }


VERB = Verb(
    purpose="check that a package is complete and gives the results it should",
    example="samzoo verify nuclei-vit-t",
    options=VerifyOptions,
    add_options=add_options,
    run=run,
)
