"""Regular expressions of strangers for names of layers, matched in bounded time.

In: the patterns in ``rank_pattern`` and ``alpha_pattern`` of an adapter's config. Out: whether one
fits a layer's name, as ``peft`` decides it. A pattern such as ``(a+)+$`` could run for years, so
patterns that could take long are refused before they run.

Source: peft 0.21.2, ``utils/other.py``, ``get_pattern_key``: the first pattern that fits the end
of the name after a dot, or the whole name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LENGTH = 500
"""Longest pattern (own choice; a list of 32 blocks has about 100 characters)."""

MAX_REPEATS = 3
"""Most ``*``, ``+`` and ``{}`` in a pattern. With names of 100 characters and the prefix that peft
allows, the work is at most 100**4 steps, in practice far less (own choice)."""

MAX_PATHS = 1000
"""Most ways through the alternatives of all groups (own choice)."""

_TOKEN = re.compile(
    r"(?P<escape>\\[\\.dwsDWS\-_+*?^$(){}|\[\]])|(?P<set>\[\^?[\w.\\-]+\])|(?P<open>\((?:\?:)?)"
    r"|(?P<close>\))|(?P<bar>\|)|(?P<repeat>[*+]\??|\{\d{0,3}(?:,\d{0,3})?\})|(?P<maybe>\?)"
    r"|(?P<plain>[\w.\-^$])",
    re.ASCII,
)


def is_safe(pattern: str) -> bool:
    r"""Whether a pattern is a regular expression that is matched in bounded time.

    >>> is_safe(r"blocks\.(0|1)\.attn\.qkv"), is_safe("(a+)+$"), is_safe("(")
    (True, False, False)
    """
    if len(pattern) > MAX_LENGTH:
        return False
    position, repeats, paths, last = 0, 0, 1, ""
    alternatives = [1]
    while position < len(pattern):
        found = _TOKEN.match(pattern, position)
        if found is None:
            return False
        kind = str(found.lastgroup)
        if kind == "open":
            alternatives.append(1)
        elif kind == "bar":
            alternatives[-1] += 1
        elif kind == "close":
            if len(alternatives) < 2:
                return False
            paths *= alternatives.pop()
        elif kind == "repeat":
            if last in ("close", "repeat", "maybe", ""):
                return False  # a repeated group can take forever
            repeats += 1
        elif kind == "maybe":
            if last in ("open", "bar", "repeat", "maybe", ""):
                return False
            paths *= 2
        last, position = kind, found.end()
    if len(alternatives) != 1 or repeats > MAX_REPEATS or paths * alternatives[0] > MAX_PATHS:
        return False
    try:
        re.compile(_whole(pattern))
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def first_match(patterns: Iterable[str], name: str) -> str | None:
    """Return the first pattern that fits the end of a layer's name, or None.

    Args:
        patterns: Patterns for which ``is_safe`` is true.
        name: The layer's name, with dots.
    """
    for pattern in patterns:
        if re.match(_whole(pattern), name):
            return pattern
    return None


def _whole(pattern: str) -> str:
    return rf"(.*\.)?({pattern})$"
