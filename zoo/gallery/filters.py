"""The gallery's filter, of radio buttons and CSS alone: no script runs, and a keyboard works it.

In: manifests by reference. Out: facets, as HTML and as rules that hide what was not chosen. A
browser without ``:has()`` shows no filter, and all models.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from samzoo.runtime.formats.manifest import Manifest

IMAGES = {
    "fluorescence": r"fluorescen|dapi|hoechst|confocal|light[- ]sheet",
    "histology": r"histolog|stained tissue|h&e|haematoxylin|hematoxylin|patholog",
    "phase contrast, brightfield": r"phase[- ]contrast|bright[- ]?field|\bdic\b",
    "electron microscopy": r"electron micro|\bem\b|\bsem\b|\btem\b",
    "ultrasound": r"ultraso|sonogra",
    "X-ray, CT, MRI": r"x-?ray|radiogra|tomogra|\bct\b|\bmri\b|magnetic resonance",
}
"""Kinds of images, and the words by which authors name them (own choice: manifests have no
field for it)."""

OTHER = "other"

WAYS = ("automatic", "clicks and boxes only")
"""How a model works: every one answers clicks and boxes, some find all objects by themselves."""

MOST = 12
"""Most choices of a facet; one with more is no help, and is left out (own choice)."""


@dataclass(frozen=True)
class Facet:
    """A property by which models are chosen.

    Attributes:
        title: What it is.
        choices: Its values in the order of the buttons; texts may come from strangers.
        values: Those of each model, by reference.
    """

    title: str
    choices: tuple[str, ...]
    values: Mapping[str, frozenset[str]]


def facets(models: Mapping[str, Manifest]) -> list[Facet]:
    """Find the properties in which models differ.

    Args:
        models: Manifests by reference.

    Returns:
        Facets with two to ``MOST`` choices.
    """
    known: tuple[tuple[str, Callable[[Manifest], Sequence[str]], Sequence[str]], ...] = (
        ("Images", _images, (*IMAGES, OTHER)),
        ("Segments", _segments, ()),
        ("Works", _ways, WAYS),
    )
    found = []
    for title, values_of, order in known:
        values = {name: frozenset(values_of(manifest)) for name, manifest in models.items()}
        used = frozenset().union(*values.values())
        choices = tuple(c for c in order if c in used) if order else tuple(sorted(used))
        if 2 <= len(choices) <= MOST:
            found.append(Facet(title, choices, values))
    return found


def _texts(manifest: Manifest) -> list[str]:
    """Return what a package's models segment, each once."""
    texts = [each.segments for each in manifest.adapters if each.segments] or [manifest.segments]
    return list(dict.fromkeys(texts))


def _segments(manifest: Manifest) -> list[str]:
    return [text or "objects" for text in _texts(manifest)]


def _images(manifest: Manifest) -> list[str]:
    words = " ".join([*_texts(manifest), str(manifest.card.get("use_when", ""))]).lower()
    return [kind for kind, pattern in IMAGES.items() if re.search(pattern, words)] or [OTHER]


def _ways(manifest: Manifest) -> list[str]:
    configs = [each.model for each in manifest.adapters] or [manifest.model]
    return [WAYS[config.architecture.ais_decoder is None] for config in configs]


def classes(reference: str, found: Sequence[Facet]) -> str:
    """Return the CSS classes of a model: one for each value that it has, such as ``f0-2``."""
    return " ".join(
        f"f{number}-{place}"
        for number, facet in enumerate(found)
        for place, choice in enumerate(facet.choices)
        if choice in facet.values[reference]
    )


def filter_html(found: Sequence[Facet]) -> str:
    """Return the buttons; empty if there is nothing to choose."""
    groups = []
    for number, facet in enumerate(found):
        buttons = [_button(number, "all", "all", checked=True)]
        buttons += [
            _button(number, str(place), choice) for place, choice in enumerate(facet.choices)
        ]
        groups.append(
            f"<fieldset><legend>{html.escape(facet.title)}</legend>{''.join(buttons)}</fieldset>"
        )
    return f'<div class="filter">{"".join(groups)}</div>\n' if groups else ""


def _button(number: int, place: str, text: str, *, checked: bool = False) -> str:
    # Autocomplete is off: a browser that restores a choice on reload would hide models unasked.
    mark = " checked" if checked else ""
    return (
        f'<label><input type="radio" name="f{number}" id="f{number}-{place}" autocomplete="off"'
        f"{mark}> {html.escape(text)}</label>"
    )


def filter_style(found: Sequence[Facet]) -> str:
    """Return the rules: a button that is chosen hides the models without its value."""
    rules = [
        f"body:has(#f{number}-{place}:checked) .model:not(.f{number}-{place}) {{ display: none; }}"
        for number, facet in enumerate(found)
        for place in range(len(facet.choices))
    ]
    return STYLE + "@supports selector(:has(*)) {\n" + "\n".join([SHOWN, *rules]) + "\n}\n"


STYLE = """
.filter { display: none; }
fieldset { border: 1px solid var(--line); border-radius: 8px; margin: 0; padding: .2rem .8rem .5rem;
  min-width: 0; }
legend { padding: 0 .3rem; opacity: .7; }
.filter label { display: inline-block; margin: .15rem .9rem .15rem 0; }
.filter label:has(:focus-visible) { outline: 2px solid #06c; outline-offset: 2px; }
"""

SHOWN = ".filter { display: grid; gap: .6rem; margin: 0 0 1rem; }"
