"""What a verb of the command line is: its help, its options, and what it does.

Each verb is a module that defines ``VERB``; ``parser.py`` lists them all.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = dict[str, Any]
"""The result of a verb. ``text`` is printed for people, ``notes`` are lines for stderr, ``exit`` is
the exit code if some of the work failed, and ``--json`` prints everything except ``text`` and
``exit``."""

Options = TypeVar("Options")


@dataclass(frozen=True, kw_only=True)
class Verb(Generic[Options]):
    """A verb.

    Attributes:
        purpose: One line for ``--help``.
        example: A command that works, for ``--help``.
        options: A frozen dataclass with a field for each option, named as argparse names it;
            ``command``, where it has that field, is the whole command line.
        add_options: Adds the options to a parser.
        run: Does the work.
    """

    purpose: str
    example: str
    options: type[Options]
    add_options: Callable[[ArgumentParser], None]
    run: Callable[[Options], Result]
