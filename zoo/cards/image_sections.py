"""The parts of a card about images: which ones a model is for, and which ones it has seen.

In: a ``Manifest``. Out: lines of Markdown.
"""

from __future__ import annotations

from samzoo.runtime.formats.manifest import DataSet, Manifest, Shows

from .markdown_tables import cell, picture, table

HEADINGS: dict[Shows, tuple[str, str]] = {
    "use": ("use_when", "Use it when your images look like this"),
    "not": ("not_when", "Not when they look like this"),
}
"""By what pictures show: the text that stands above them, and the heading."""


def use_lines(manifest: Manifest, shows: Shows) -> list[str]:
    """Write the section on images that a model is for, or not: a text, and pictures in a row.

    Args:
        manifest: The package's manifest.
        shows: Which of the two.

    Returns:
        The section; nothing without text and pictures.
    """
    key, heading = HEADINGS[shows]
    text = str(manifest.card.get(key, "")).strip()
    shown = [each for each in manifest.pictures if each.shows == shows]
    if not text and not shown:
        return []
    lines = ["", f"## {heading}", *(["", text] if text else [])]
    if shown:
        pictures = [picture(each.path, each.caption) for each in shown]
        texts = [f"{cell(each.caption)} *{cell(each.attribution)}*" for each in shown]
        lines += ["", *table(pictures, [texts])]
    return lines


def dataset_lines(manifest: Manifest) -> list[str]:
    """Write a table of the data sets, with groups, split, licence and source; nothing without."""
    if not manifest.datasets:
        return []
    header = ("data", "used for", "images", "groups", "split", "licence", "source")
    rows = [
        (
            _named(each),
            *map(cell, (each.use, each.images, each.groups, each.split)),
            cell(each.license),
            cell(each.attribution),
        )
        for each in manifest.datasets
    ]
    return ["", *table(header, rows)]


def _named(dataset: DataSet) -> str:
    name = cell(dataset.name)
    if not dataset.url.startswith(("https://", "http://")):
        return " ".join([name, cell(dataset.url)]).strip()
    return f"[{name}]({''.join(dataset.url.split())})"
