"""The parser of the command line, with the table of verbs.

In: the words after ``samzoo``. Out: a ``Call``. This is the only module that sees argparse's
``Namespace``. It imports nothing heavy, so that ``--help`` is quick.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from argparse import (
    SUPPRESS,
    Action,
    ArgumentError,
    ArgumentParser,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

from samzoo.runtime.errors import did_you_mean

from .verb import Verb

VERBS = {
    "segment": "images.segment",
    "prompt": "images.prompt",
    "embed": "images.embed",
    "suggest": "images.suggest",
    "annotate": "images.annotate",
    "list": "models.list",
    "show": "models.show",
    "pull": "models.pull",
    "use": "models.use",
    "verify": "models.verify",
    "remove": "models.remove",
    "gallery": "models.gallery",
    "plan": "making.plan",
    "methods": "making.methods",
    "train": "making.train",
    "evaluate": "making.evaluate",
    "merge": "making.merge",
    "sum": "making.sum",
    "export": "making.export",
    "share": "making.share",
    "card": "making.card",
    "index": "making.index",
    "publish": "making.publish",
    "rebuild": "making.rebuild",
    "study": "making.study",
    "convert": "files.convert",
    "adapter read": "files.adapter_read",
    "adapter write": "files.adapter_write",
    "doctor": "files.doctor",
}
"""Module of each verb, in the order of ``samzoo --help``. A verb of two words is nested."""

GROUPS = {
    "images": "images",
    "models": "models",
    "making": "making models",
    "files": "other tools' files",
}
"""Heading of each folder of verbs in ``samzoo --help``."""

NESTED = {"adapter": "read and write adapters of other tools"}
"""What the first word of nested verbs is about."""

DESCRIPTION = """\
Finetuned Segment Anything models for biomedical images: train, merge, export,
and run on a CPU."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """A parsed command line.

    Attributes:
        verb: The verb to run.
        options: Its options, of the type ``verb.options``.
        json: Print one JSON object.
        debug: Show the traceback of an error.
    """

    verb: Verb[Any]
    options: Any
    json: bool
    debug: bool


def parse(words: Sequence[str]) -> Call:
    """Parse a command line.

    Args:
        words: What stands after ``samzoo``.

    Returns:
        The verb and its options.

    Raises:
        SystemExit: The usage is wrong, or help was asked for; argparse has printed it.
    """
    parser = build_parser()
    given, unknown = parser.parse_known_args(words)
    if unknown:
        given.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    given.command = ["samzoo", *words]
    verb = get_verb(given.verb)
    return Call(verb=verb, options=_options(verb, given), json=given.json, debug=given.debug)


def get_verb(name: str) -> Verb[Any]:
    """Import a verb of the table."""
    verb: Verb[Any] = import_module(f"{__package__}.{VERBS[name]}").VERB
    return verb


def build_parser() -> ArgumentParser:
    """Build the parser of all verbs."""
    verbs = {name: get_verb(name) for name in VERBS}
    parser = Parser(
        prog="samzoo",
        usage="samzoo [-h] [--version] VERB ...",
        description=DESCRIPTION,
        epilog=_listing({name: verb.purpose for name, verb in verbs.items()}),
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    words = _subparsers(parser, "samzoo")
    nested = {}
    for name, verb in verbs.items():
        first, _, second = name.partition(" ")
        if not second:
            _add_verb(words, first, name, verb)
            continue
        if first not in nested:
            outer = words.add_parser(first, description=NESTED[first])
            nested[first] = outer.add_subparsers(metavar="VERB", required=True, title="verbs")
        _add_verb(nested[first], second, name, verb)
    return parser


def _subparsers(parser: ArgumentParser, program: str) -> Any:
    """Add subparsers that the help does not list itself; the epilog lists them under headings."""
    return parser.add_subparsers(metavar="VERB", required=True, prog=program, help=SUPPRESS)


def _listing(purposes: Mapping[str, str]) -> str:
    width = max(map(len, purposes)) + 2
    lines: list[str] = []
    for folder, heading in GROUPS.items():
        lines += [f"{heading}:"]
        lines += [
            f"  {name:{width}}{purpose}"
            for name, purpose in purposes.items()
            if VERBS[name].startswith(f"{folder}.")
        ]
        lines += [""]
    return "\n".join([*lines, "samzoo VERB --help shows the options of a verb"])


def _add_verb(words: Any, word: str, name: str, verb: Verb[Any]) -> None:
    parser: ArgumentParser = words.add_parser(
        word, help=verb.purpose, description=verb.purpose, epilog=f"example: {verb.example}"
    )
    for action in (None, "store"):
        parser.register("action", action, _Once)
    verb.add_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(verb=name, parser=parser)


def _options(verb: Verb[Any], given: Namespace) -> Any:
    names = [field.name for field in dataclasses.fields(verb.options)]
    return verb.options(**{name: _frozen(getattr(given, name)) for name in names})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


class Parser(ArgumentParser):
    """A parser that prints its help if no verb is given, and guesses what a wrong word means."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and remember the words for a message."""
        self._words = tuple(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, with what the user may have meant, and exit."""
        if self._subparsers is not None and not self._words:
            self.print_help(sys.stderr)
            self.exit(2)
        super().error(message + self._guess(message))

    def _guess(self, message: str) -> str:
        if choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            return did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2]))
        options = self._option_string_actions
        for word in self._words:
            name = word.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in options):
                return did_you_mean(name, options)
        return ""


class _Once(Action):
    """Stores an option's value; argparse alone would drop all values but the last."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        given: frozenset[str] = getattr(namespace, "given_once", frozenset())
        if option is not None and self.dest in given:
            raise ArgumentError(self, "is given twice; give it once")
        namespace.given_once = given | {self.dest}
        setattr(namespace, self.dest, values)


class _Version(Action):
    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"samzoo {version('samzoo')}\n")
        parser.exit()
