"""``samzoo doctor``: what is installed, what is missing, and whether segmenting works."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """The verb has no options."""


def add_options(_: ArgumentParser) -> None:
    """Add nothing."""


def run(_: DoctorOptions) -> Result:
    """Check the installation."""
    from samzoo.zoo.reports.installation import check_installation

    result = check_installation()
    if not result["ok"]:
        raise InputError(f"the installation has problems\n{result['text']}")
    return result


VERB = Verb(
    purpose="check the installation",
    example="samzoo doctor",
    options=DoctorOptions,
    add_options=add_options,
    run=run,
)
