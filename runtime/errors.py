"""Every error that samzoo raises on purpose, for all three parts.

The tree; each class also derives from the built-in that callers expect::

    SamzooError
    |- InputError (ValueError)             what the user gave is not usable          exit 2
    |  |- ShapeError                       an array has the wrong shape
    |  |- ImageError                       an image or label file is not usable
    |  |- FormatError                      a config, manifest or weights file is not usable
    |  |- WrongBaseError                   an adapter meets a base it was not trained on
    |  `- OutputExistsError                the output is there and --force was not given
    |- NotFoundError (FileNotFoundError) a path or name that does not exist       exit 2
    |- MissingDependencyError (ImportError) a package is missing or broken            exit 2
    `- StorageError (OSError)              a read or write failed (disk, permissions) exit 3
       `- WriteError                       an output cannot be written (disk full)

A message says what was expected, what was found, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class SamzooError(Exception):
    """Base of all errors that samzoo raises on purpose."""


class InputError(SamzooError, ValueError):
    """The caller's input cannot be used."""


class ShapeError(InputError):
    """An array has the wrong shape."""


class ImageError(InputError):
    """An image or label file cannot be used."""


class FormatError(InputError):
    """A config, manifest or weights file cannot be used."""


class WrongBaseError(InputError):
    """An adapter was combined with a base it was not trained on."""


class OutputExistsError(InputError):
    """The output exists already and may not be overwritten."""


class NotFoundError(SamzooError, FileNotFoundError):
    """A path or a name does not exist."""


class MissingDependencyError(SamzooError, ImportError):
    """A package that samzoo needs is not installed, or does not load."""


class StorageError(SamzooError, OSError):
    """Reading or writing failed for reasons other than the content."""


class WriteError(StorageError):
    """An output cannot be written; with a full disk, the next one cannot either."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Suggest the known word that is most like another, as the end of a message.

    >>> did_you_mean("encodr", ["encoder", "decoder"])
    "; did you mean 'encoder'?"
    >>> did_you_mean("--modle", ["--mode", "--model"])  # letters that changed places come first
    "; did you mean '--model'?"
    >>> did_you_mean("lora", ["fact"])
    ''
    """
    by_lower, typed = {each.lower(): each for each in known}, str(word).lower()
    swapped = [each for each in by_lower if sorted(each) == sorted(typed)]
    near = swapped or difflib.get_close_matches(typed, by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""


def shown(value: object, *, limit: int = 200) -> str:
    r"""Format a value from a file for a message: escaped, and cut to ``limit`` characters.

    >>> shown("a\nb")
    "'a\\nb'"
    """
    text = ascii(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def printable(text: str) -> str:
    r"""Replace what a terminal would obey, such as colours and titles, in a text from a stranger.

    >>> printable("a\x1b[31m\tb")
    'a\ufffd[31m\tb'
    """
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)


def all_bad(what: str, messages: Sequence[str]) -> str:
    """Join the messages of several files in one, so that a person can mend all of them at once.

    >>> print(all_bad("pairs", ["a.tif: is empty", "b.tif: is empty"]))
    2 pairs cannot be used:
      a.tif: is empty
      b.tif: is empty
    """
    return "\n  ".join([f"{len(messages)} {what} cannot be used:", *messages])


def use_each(what: str, items: Iterable[T], use: Callable[[T], R]) -> list[R]:
    """Use every item, and tell of all that cannot be used in one error.

    Args:
        what: What the items are, in the plural.
        items: The items.
        use: What is done with each.

    Returns:
        What ``use`` returned for each.

    Raises:
        SamzooError: The error of the one item that cannot be used.
        InputError: Several cannot be used; the message lists all.

    >>> use_each("numbers", [1, 2], float)
    [1.0, 2.0]
    """
    used: list[R] = []
    bad: list[SamzooError] = []
    for item in items:
        try:
            used.append(use(item))
        except (InputError, NotFoundError) as error:
            bad.append(error)
    if len(bad) == 1:
        raise bad[0]
    if bad:
        raise InputError(all_bad(what, [str(error) for error in bad]))
    return used
