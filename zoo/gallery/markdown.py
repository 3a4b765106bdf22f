"""Conversion of model cards to HTML that runs and loads nothing from a stranger.

In: a card's text. Out: HTML. markdown-it-py reads CommonMark and tables; raw HTML stays text. Links
lead to the web or become plain text, and pictures are left out but for those that are named.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from samzoo.runtime.budgets import MAX_CARD_BRACKETS


def without_header(text: str) -> str:
    """Drop the YAML header of a card."""
    if text.startswith("---\n"):
        _, _, rest = text[4:].partition("\n---\n")
        return rest
    return text


def to_html(text: str, *, pictures: Collection[str] = ()) -> str:
    """Turn Markdown into HTML.

    Args:
        text: From a stranger; without header.
        pictures: Addresses of pictures to keep, which lie beside the page.

    Returns:
        The HTML; of a text with too many brackets for Markdown, the text itself.
    """
    if text.count("[") > MAX_CARD_BRACKETS:
        return f"<pre>{html.escape(text)}</pre>"
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = _without_empty_heads(parser.parse(text))
    for token in tokens:
        if token.type == "inline":
            token.children = _safe(token.children or [], pictures)
    page = str(parser.renderer.render(tokens, parser.options, {}))
    # A wide table scrolls in a box of its own, so that the page fits a phone.
    page = page.replace("<table>", '<div class="wide"><table>')
    return page.replace("</table>", "</table></div>").rstrip("\n")


def _safe(tokens: Sequence[Token], pictures: Collection[str]) -> list[Token]:
    """Drop other pictures, and the tags of links that do not lead to the web."""
    kept: list[Token] = []
    dropped: list[bool] = []
    for token in tokens:
        if token.type == "image" and token.attrs.get("src") not in pictures:
            continue
        if token.type == "link_open":
            dropped.append(not str(token.attrs.get("href", "")).startswith(("http://", "https://")))
            token.attrs["rel"] = "nofollow noreferrer"
            if dropped[-1]:
                continue
        if token.type == "link_close" and dropped.pop():
            continue
        kept.append(token)
    return kept


def _without_empty_heads(tokens: Sequence[Token]) -> list[Token]:
    """Drop the heads of tables that have none, which Markdown cannot leave out."""
    kept: list[Token] = []
    head: list[Token] | None = None
    for token in tokens:
        if token.type == "thead_open":
            head = []
        if head is None:
            kept.append(token)
            continue
        head.append(token)
        if token.type == "thead_close":
            if any(each.content for each in head):
                kept += head
            head = None
    return kept
