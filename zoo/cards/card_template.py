"""The card file of a package: each text and field that its card can have, with what it is for.

In: a manifest. Out: TOML that ``read_card_file`` reads; unchanged, it changes nothing.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from samzoo.runtime.formats.manifest import Manifest

from .card import MANDATORY
from .card_file import TEXTS, BaseEntry
from .card_header import evaluations

HEAD = """\
The card of the package {name}. Fill in what is empty, then write the card:
  samzoo card PACKAGE --from card.toml
Add --metrics report.json for the scores of samzoo evaluate, and --cover IMAGE for its first
picture. A key that is left out keeps what the package says, and an empty text takes it out. Texts
are Markdown. Numbers do not belong here: they come from the package and from reports.
"""

ABOUT = {
    "segments": "What it segments, in a few words, as samzoo list shows it: nuclei in fluorescence "
    "microscopy.",
    "license": "Licence of the weights, an SPDX identifier such as Apache-2.0 or CC-BY-4.0. That "
    "of the base and of the training data may ask for one.",
    "description": "First paragraph: what the model does and how it was made, in two or three "
    "sentences.",
    "use_when": 'One line that ends "Use it when your images look like this: ...": microscope, '
    "stain, size of the objects. Pictures below show it.",
    "not_when": "The same for images on which it fails.",
    "intended_use": "Who would use it, for what, and what they should check.",
    "limitations": "What is known to go wrong, what was never tried, and what it must not decide.",
    "training_data": "What it was trained on and what its checkpoint was chosen on, in words. The "
    "table of data sets has the facts.",
    "evaluation": "How it was scored, where the words of the tables are not enough.",
    "tried": "What else was tried and lost, so that others need not try it again.",
    "authors": "Who made it, whom to ask, and what to cite, with a DOI where there is one.",
}
"""What each text is for, in the order of the file."""

BASE = """\
The checkpoint that it was finetuned from, which samzoo convert knows for many. Its name is needed
to publish."""

DATASETS = """\
One [[datasets]] for each set of images that it was trained, chosen or tested on.
use: training, validation, test. images: how many, of what, from where. groups: what never crosses
a split (fields, scenes, patients), and how many. split: how the parts were divided. license and
attribution: whose images they are. url: where they are."""

PICTURES = """\
Small pictures by which people recognise their own images; at most 256 pixels are kept.
file: an image beside this file (an overlay of samzoo segment is best), or one of the package.
shows: "use" for images like those it is for, "not" for one on which it fails. caption: what is to
be seen. attribution: whose image it is and its licence."""

EVALUATIONS = """\
The scores on the card, in this order; the first are those of samzoo list.
data: what the images are. report: name of the report given with --metrics, for new scores.
subject: left out, the report must be about this model; otherwise a name for what was scored, such
as "LiteMedSAM before finetuning", to stand beside it. model: which one of a report of several.
split: which part of the data. note: a remark below the scores."""

EXAMPLES = {
    "datasets": {"name": "", "use": "training, validation, test", "images": "", "groups": "",
                 "split": "", "license": "", "attribution": "", "url": ""},
    "pictures": {"file": "overlay.png", "shows": "use", "caption": "", "attribution": ""},
    "evaluations": {"report": "report.json", "data": ""},
}  # fmt: skip
"""What stands in comments where the package has nothing."""


def filled_template(manifest: Manifest) -> str:
    """Write the card file of a package.

    Args:
        manifest: The package's manifest.

    Returns:
        TOML with a comment for each key.
    """
    texts = {"segments": manifest.segments, "license": manifest.license}
    texts |= {name: str(manifest.card.get(name, "")) for name in TEXTS}
    lines = _comment(HEAD.format(name=manifest.name))
    for name, text in texts.items():
        needed = name in (*MANDATORY, "segments", "license")
        about = f"{ABOUT[name]} {'Needed to publish.' if needed else 'May stay empty.'}"
        lines += ["", *_comment("\n".join(textwrap.wrap(about, 96))), f"{name} = {_value(text)}"]
    found = manifest.model.source.get("base")
    known = found if isinstance(found, Mapping) else {}
    lines += ["", *_comment(BASE), "[base]"]
    lines += [
        f"{field.name} = {_value(str(known.get(field.name, '')))}"
        for field in dataclasses.fields(BaseEntry)
    ]
    lines += _tables("datasets", DATASETS, [dataclasses.asdict(d) for d in manifest.datasets])
    pictures = [
        {"file": p.path, "shows": p.shows, "caption": p.caption, "attribution": p.attribution}
        for p in manifest.pictures
    ]
    lines += _tables("pictures", PICTURES, pictures)
    scores = [
        {key: str(entry.get(key, "")) for key in ("data", "subject", "split", "note")}
        for entry in evaluations(manifest)
    ]
    lines += _tables("evaluations", EVALUATIONS, scores)
    return "\n".join(lines) + "\n"


def _tables(name: str, about: str, found: Sequence[Mapping[str, str]]) -> list[str]:
    lines = ["", *_comment(about)]
    for number, entry in enumerate(found):
        lines += [*([""] if number else []), f"[[{name}]]"]
        lines += [f"{key} = {_value(text)}" for key, text in entry.items()]
    if not found:
        example = [f"[[{name}]]", *(f"{k} = {_value(v)}" for k, v in EXAMPLES[name].items())]
        lines += _comment("\n".join(example))
    return lines


def _comment(text: str) -> list[str]:
    return [f"# {line}".rstrip() for line in text.strip("\n").split("\n")]


def _value(text: Any) -> str:
    """Write a text as TOML: long ones and paragraphs on lines of their own."""
    plain = str(text).strip()
    if "\n" not in plain and len(plain) < 80:
        return _escaped(plain).join('""')
    body = "\n".join(_escaped(line) for line in plain.split("\n"))
    return f'"""\n{body}\n"""'


def _escaped(text: str) -> str:
    """Escape what TOML does not take in a text; JSON's escapes are TOML's, but for one letter."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")
