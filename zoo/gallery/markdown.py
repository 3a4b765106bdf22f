"""The part of Markdown that model cards use, as HTML in which nothing of a stranger's runs.

In: a card's text. Out: HTML. Called by ``gallery.py``. Everything is escaped first; then headings,
paragraphs, lists, tables, code, bold, and links to the web get their tags. Pictures become links
inside the package, raw HTML stays text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence

_LINK = re.compile(r"\[([^\]]*)\]\((https?://[^\s()]+)\)")
_PICTURE = re.compile(r"!\[([^\]]*)\]\([^\s()]*\)")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_CODE = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"(#{1,4}) (.+)")
_RULE = re.compile(r"\|[\s:|-]+\|?")


def without_header(text: str) -> str:
    """Drop the YAML header of a card."""
    if text.startswith("---\n"):
        _, _, rest = text[4:].partition("\n---\n")
        return rest
    return text


def to_html(text: str) -> str:
    """Turn Markdown into HTML.

    Args:
        text: From a stranger; without header.
    """
    return "\n".join(_blocks(text.replace("\r", "").split("\n")))


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    index = 0
    while index < len(lines):
        line = lines[index].rstrip()
        end = index + 1
        if line.startswith("```"):
            while end < len(lines) and not lines[end].startswith("```"):
                end += 1
            yield f"<pre>{html.escape(chr(10).join(lines[index + 1 : end]))}</pre>"
            end += 1
        elif heading := _HEADING.fullmatch(line):
            level = len(heading[1])
            yield f"<h{level}>{_inline(heading[2])}</h{level}>"
        elif line.startswith("|"):
            end = _while(lines, index, lambda text: text.startswith("|"))
            yield _table(lines[index:end])
        elif line.startswith("- "):
            end = _while(lines, index, lambda text: text.startswith(("- ", "  ")))
            items = re.split(r"^- ", "\n".join(lines[index:end]), flags=re.MULTILINE)[1:]
            yield f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"
        elif line and not _PICTURE.fullmatch(line):
            end = _while(lines, index, lambda text: bool(text.strip()) and text[0] not in "|#`-")
            end = max(end, index + 1)
            yield f"<p>{_inline(' '.join(lines[index:end]))}</p>"
        index = end


def _while(lines: Sequence[str], start: int, holds: Callable[[str], bool]) -> int:
    end = start
    while end < len(lines) and holds(lines[end]):
        end += 1
    return end


def _table(lines: Sequence[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    body = [row for line, row in zip(lines, rows, strict=True) if not _RULE.fullmatch(line.strip())]
    head, *rest = body
    cells = "".join(f"<th>{_inline(cell)}</th>" for cell in head)
    text = f"<tr>{cells}</tr>" if any(head) else ""
    for row in rest:
        text += f"<tr>{''.join(f'<td>{_inline(cell)}</td>' for cell in row)}</tr>"
    return f'<div class="wide"><table>{text}</table></div>'


def _inline(text: str) -> str:
    """Escape, then mark what is between backquotes, stars and brackets."""
    parts = _CODE.split(text)
    return "".join(
        f"<code>{html.escape(part)}</code>" if index % 2 else _plain(part)
        for index, part in enumerate(parts)
    )


def _plain(text: str) -> str:
    escaped = html.escape(_PICTURE.sub("", text), quote=True)
    escaped = _BOLD.sub(r"<strong>\1</strong>", escaped)
    return _LINK.sub(r'<a href="\2" rel="nofollow noreferrer">\1</a>', escaped)
