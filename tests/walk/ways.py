"""What the walk over the command line is made of: ways through a verb, and what options do there.

A way is a command line that works. Each option of its verb either changes its answer, or makes a
command work that does not work without it, or is refused. ``walk.running`` tries it. A ``command``
that is empty is the way's own; ``other`` are words to compare with instead of none; ``before`` is a
command that runs first, in the same folder.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Changes:
    """The words change the answer: files, stdout, or what the networks compute."""

    words: str
    command: str = ""
    other: str = ""
    before: str = ""


@dataclass(frozen=True)
class Chooses:
    """The words change the answer to that of ``alone``, whose file holds what is chosen."""

    words: str
    alone: str
    command: str
    other: str = ""
    before: str = ""


@dataclass(frozen=True)
class Enables:
    """The command is refused without the words, and works with them."""

    words: str
    command: str = ""
    other: str = ""
    before: str = ""


@dataclass(frozen=True)
class Refused:
    """The words are refused with one sentence on stderr that holds ``message``; exit 2."""

    words: str
    message: str
    command: str = ""
    before: str = ""


Does = Changes | Chooses | Enables | Refused


@dataclass(frozen=True)
class Way:
    """A way through a verb.

    Attributes:
        verb: As in ``samzoo.zoo.cli.parser.VERBS``.
        name: Tells it from the verb's other ways.
        command: A command line that works, without ``samzoo``.
        options: What each option of the verb does there, by its long name. ``--json``, ``--debug``,
            ``--output`` and, unless it stands here, ``--force`` are tried on every way alike.
        needs: Packages that it needs.
        echoes: Keys of JSON answers that repeat what was asked for, so that they are no proof.
        besides: Names of files that are no proof, such as a log with times.
        fails: Part of the message of a way that ends with exit 2, which is then its answer.
    """

    verb: str
    name: str
    command: str
    options: dict[str, Does] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    echoes: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    fails: str = ""

    def __str__(self) -> str:
        """Name it, for test ids."""
        return f"{self.verb}, {self.name}"


EVERYWHERE = ("--json", "--debug", "--help")
"""Options that every verb has, which ``parser.py`` adds."""


def options_of(parser):
    """The long names of a parser's options, as argparse itself lists them."""
    return [action.option_strings[-1] for action in parser._actions if action.option_strings]


def gaps(parsers, ways):
    """What the table lacks, and what it has too much: one line each.

    Args:
        parsers: The parser of each verb, by the verb's name.
        ways: All ways.
    """
    lines = []
    for verb, parser in parsers.items():
        known = [name for name in options_of(parser) if name not in EVERYWHERE]
        own = [way for way in ways if way.verb == verb]
        if not own:
            lines.append(f"{verb}: no way through it")
        for way in own:
            tried = {*way.options, *(name for name in ("--output",) if name in known)}
            tried |= {"--force"} if "--force" in known and "-o " in way.command else set()
            lines += [f"{way}: {name} is not tried" for name in known if name not in tried]
            lines += [f"{way}: {name} is no option" for name in way.options if name not in known]
    return lines
