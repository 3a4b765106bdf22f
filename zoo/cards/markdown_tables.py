"""Tables and pictures in Markdown, from texts that people wrote.

In: cells. Out: lines of Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table; a header of empty texts is one that pages leave out."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def cell(text: str) -> str:
    r"""Return a text as it may stand in a cell: one line, without the sign between cells.

    >>> cell("a\nb|c")
    'a b\\|c'
    """
    return " ".join(text.replace("|", "\\|").split())


def picture(path: str, text: str) -> str:
    """Show a picture of the package, with what is said to people who do not see it."""
    plain = cell(text).replace("[", "(").replace("]", ")")
    return f"![{plain}]({path})"
