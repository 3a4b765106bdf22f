"""The file that a card is written with: ``card.toml``, read and put into a manifest.

In: a TOML file that a person edited, and a package's manifest. Out: the manifest with its texts.
``card_template`` writes such a file for a package.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, NotFoundError, shown
from samzoo.runtime.formats.fields import from_json
from samzoo.runtime.formats.files import read_toml
from samzoo.runtime.formats.manifest import DataSet, Manifest, Shows


@dataclass(frozen=True, kw_only=True)
class PictureEntry:
    """A ``[[pictures]]`` of the file; see ``CardPicture``.

    Attributes:
        file: An image beside the card file, or the path of a picture in the package.
        shows: ``use`` or ``not``.
        caption: What is to be seen.
        attribution: Whose image it is, and its licence.
    """

    file: str
    shows: Shows
    caption: str
    attribution: str

    def __post_init__(self) -> None:
        for name in ("file", "caption", "attribution"):
            if not getattr(self, name).strip():
                raise FormatError(f"pictures: {name}: found an empty text; each picture needs one")


@dataclass(frozen=True, kw_only=True)
class ScoreEntry:
    """An ``[[evaluations]]`` of the file: scores on the card, and words for them.

    Attributes:
        data: What the images are.
        report: Name of the report that brings the scores; empty for scores that the package has.
        model: Which model of a report of several, by its name there; empty for the package's own.
        subject: What was scored; empty for ``this model``. A report about other weights needs one.
        split: Which part of the data; None for the report's, or whatever the package has.
        note: A remark below the scores; None keeps that of the package.
    """

    data: str
    report: str = ""
    model: str = ""
    subject: str = ""
    split: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        if self.report and not self.data.strip():
            raise FormatError(
                f"evaluations: data: of the report {shown(self.report)}: found an empty text; say "
                "what the images are"
            )


@dataclass(frozen=True, kw_only=True)
class BaseEntry:
    """The ``[base]`` of the file: what the model was finetuned from; None keeps what is known."""

    name: str | None = None
    license: str | None = None
    url: str | None = None
    huggingface: str | None = None


@dataclass(frozen=True, kw_only=True)
class CardFile:
    """The content of a card file: None keeps what the package says, an empty text takes it out.

    Attributes:
        segments: What the model segments, in a few words.
        license: SPDX identifier.
        description: The card's first paragraph; this and the next ones are ``Manifest.card``.
        use_when: What images the model is for.
        not_when: What images it fails on.
        intended_use: Who would use it, and for what.
        limitations: What is known to go wrong.
        training_data: What it was trained on.
        evaluation: How it was scored.
        tried: What was tried and lost.
        authors: Who made it, and what to cite.
        base: What it was finetuned from.
        datasets: All data sets.
        pictures: All small pictures, those of ``use`` first.
        evaluations: All scores that the card shows, in this order.
    """

    segments: str | None = None
    license: str | None = None
    description: str | None = None
    use_when: str | None = None
    not_when: str | None = None
    intended_use: str | None = None
    limitations: str | None = None
    training_data: str | None = None
    evaluation: str | None = None
    tried: str | None = None
    authors: str | None = None
    base: BaseEntry | None = None
    datasets: tuple[DataSet, ...] | None = None
    pictures: tuple[PictureEntry, ...] | None = None
    evaluations: tuple[ScoreEntry, ...] | None = None


TEXTS = (
    "description", "use_when", "not_when", "intended_use", "limitations", "training_data",
    "evaluation", "tried", "authors",
)  # fmt: skip
"""The fields that are texts of ``Manifest.card``, in the order of the file."""


def read_card_file(path: Path) -> CardFile:
    """Read a card file.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is not TOML, or a key or value is not one of those allowed.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file; write one with samzoo card PACKAGE --template")
    value = read_toml(path, what="the texts of a card")
    return from_json(CardFile, _stripped(value), where=str(path))


def _stripped(value: Any) -> Any:
    """Drop the white space around each text: most stand on lines of their own."""
    if isinstance(value, dict):
        return {key: _stripped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_stripped(item) for item in value]
    return value.strip() if isinstance(value, str) else value


def with_texts(manifest: Manifest, file: CardFile) -> Manifest:
    """Return the manifest with the texts, base and data sets of a card file.

    Pictures and scores are left to ``card_pictures`` and ``samzoo.zoo.review.card_entry``.
    """
    card = dict(manifest.card)
    for name in TEXTS:
        text = getattr(file, name)
        if text is not None:
            card.pop(name, None)
            if text:
                card[name] = text
    given: dict[str, Any] = {
        name: getattr(file, name)
        for name in ("segments", "license")
        if getattr(file, name) is not None
    }
    if file.datasets is not None:
        given["datasets"] = file.datasets
    changed = dataclasses.replace(manifest, card=card, **given)
    return changed if file.base is None else _with_base(changed, file.base)


def _with_base(manifest: Manifest, given: BaseEntry) -> Manifest:
    found = manifest.model.source.get("base")
    base = dict(found) if isinstance(found, dict) else {}
    for field in dataclasses.fields(given):
        text = getattr(given, field.name)
        if text is not None:
            base.pop(field.name, None)
            if text:
                base[field.name] = text
    if not base and found is None:
        return manifest
    source = {**manifest.model.source, "base": base}
    model = dataclasses.replace(manifest.model, source=source)
    return dataclasses.replace(manifest, model=model)
