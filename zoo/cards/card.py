"""The model card, made from the manifest: no number in it is typed by hand.

In: a ``Manifest``. Out: the text of ``README.md``, with the header that Hugging Face reads. The
sections follow Mitchell et al., Model Cards (2019).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from samzoo.runtime.formats.manifest import Manifest

from .card_header import evaluations, header_of, yaml_lines
from .image_sections import dataset_lines, use_lines
from .markdown_tables import table
from .score_sections import score_lines

SECTIONS = {
    "description": "",
    "intended_use": "Intended use",
    "limitations": "Limitations",
    "training_data": "Training data",
    "evaluation": "Evaluation data and metrics",
    "tried": "What was tried and lost",
    "authors": "Authors and citation",
}
"""Keys of ``Manifest.card`` and their headings; ``description`` opens the card. ``use_when`` and
``not_when`` stand with the pictures, see ``image_sections``."""

MANDATORY = ("description", "intended_use", "limitations", "training_data", "authors")
"""Sections that a card must have before it is published."""

FILE = "the file of samzoo card PACKAGE --template"
MEASURE = "measure it: samzoo evaluate, and then samzoo card PACKAGE --metrics REPORT.json"

TOOLS = "tools"
"""Key of ``Manifest.metrics``: what was measured of the files for other tools, by target."""

PRECISION_NOTES = {
    "int8-weights": "int8-weights: layers stored in 8 bits, computed in float32",
    "int8": "int8: the encoder's linear layers compute in 8 bits; scores may differ from float32's",
}
"""Notes for the reader, by precision."""


def render_card(manifest: Manifest) -> str:
    """Write the card.

    Args:
        manifest: The package's manifest; its ``files`` are not used.

    Returns:
        Markdown with a YAML header.
    """
    parts = [
        "---",
        *yaml_lines(header_of(manifest)),
        "---",
        "",
        f"# {manifest.name}",
        "",
        _text(manifest, "description") or f"Segments {manifest.segments or 'objects'}.",
        *_images(manifest),
        *use_lines(manifest, "use"),
        *use_lines(manifest, "not"),
        *_section(manifest, "intended_use"),
        *_section(manifest, "limitations"),
        "",
        "## Use",
        "",
        "```sh",
        "pip install .  # in a copy of samzoo's repository",
        f"samzoo segment image.tif -o labels.tif --overlay overlay.png --model {manifest.name}"
        + (f" --adapter {manifest.adapters[0].name}" if manifest.adapters else ""),
        "```",
        *_section(manifest, "training_data", also=dataset_lines(manifest)),
        *_training(manifest),
        *_section(manifest, "evaluation"),
        *score_lines(manifest),
        *_section(manifest, "tried"),
        *(_adapters(manifest) if manifest.adapters else _inputs(manifest)),
        *_load_proofs(manifest),
        *_tools(manifest),
        *_section(manifest, "authors"),
        "",
        "## Licence",
        "",
        manifest.license or "Not declared.",
        "",
    ]
    return "\n".join(parts)


def card_problems(manifest: Manifest) -> list[str]:
    """List the fields that a card lacks and must have before it is published.

    Args:
        manifest: The package's manifest.

    Returns:
        One line for each missing field, with what to do; empty if nothing is missing.
    """
    problems = [
        f"card.{key}: missing; write it, in {FILE}" for key in MANDATORY if not _text(manifest, key)
    ]
    base = manifest.model.source.get("base")
    named = isinstance(base, Mapping) and base.get("name")
    for wanted, field, what in (
        (manifest.license, "license", "give an SPDX identifier, such as Apache-2.0"),
        (
            manifest.segments,
            "segments",
            f"say what it segments, in {FILE}",
        ),
        (
            named,
            "model.source.base",
            f"name the base, in {FILE}",
        ),
        (
            evaluations(manifest),
            "metrics.evaluations",
            "measure it: samzoo evaluate, then samzoo card PACKAGE --metrics REPORT.json",
        ),
    ):
        if not wanted:
            problems.append(f"{field}: missing; {what}")
    return problems


def _text(manifest: Manifest, key: str) -> str:
    return str(manifest.card.get(key, "")).strip()


def _section(manifest: Manifest, key: str, *, also: Sequence[str] = ()) -> list[str]:
    text = _text(manifest, key)
    if not text and not also:
        return []
    return ["", f"## {SECTIONS[key]}", *(["", text] if text else []), *also]


def _images(manifest: Manifest) -> list[str]:
    cover = _text(manifest, "cover")
    return ["", f"![A segmentation by this model]({cover})"] if cover else []


def _training(manifest: Manifest) -> list[str]:
    source = manifest.model.source
    training = source.get("training")
    if not isinstance(training, Mapping):
        return []
    config = training.get("config", {})
    merged = source.get("merged_from", {})
    base = source.get("base", {})
    rows = [
        ("Base", f"{base.get('name', 'unknown')}, {training.get('base_digest', '')}"),
        ("Method", f"{training.get('method')} {json.dumps(merged.get('hyperparameters', {}))}"),
        ("Steps", f"{training.get('steps')} in {training.get('seconds')} s"),
        ("Learning rate", f"{config.get('learning_rate')}, AIS decoder "
                          f"{config.get('ais_learning_rate')}, {config.get('scheduler')}"),
        ("Objects and prompt rounds a step", f"{config.get('n_objects')}, "
                                             f"{config.get('n_sub_iteration')}"),
        ("Precision", str(training.get("precision", config.get("precision")))),
        ("Seed", str(config.get("seed"))),
    ]  # fmt: skip
    return ["", "## Training", "", *table(("", ""), rows)]


def _inputs(manifest: Manifest) -> list[str]:
    preprocessing, ais = manifest.model.preprocessing, manifest.model.ais
    low, high = preprocessing.percentiles
    intensity = {
        "none": "8-bit images as they are, others from minimum to maximum",
        "min_max": "minimum to maximum of the image",
        "percentile": f"percentiles {low:g} to {high:g} of the image",
    }[preprocessing.intensity]
    scale = "longest side to the model's size" if preprocessing.scale is None else (
        f"{preprocessing.scale:g} model pixels an image pixel"
    )  # fmt: skip
    rows = [
        ("Image", "2D, grey or RGB, any bit depth"),
        ("Intensities", f"{intensity}, gamma {preprocessing.gamma:g}"),
        ("Scale", scale),
        *([("Object diameter", f"{preprocessing.object_diameter:g} model pixels: the median object "
            "of every training image; pass --diameter with that of your objects")]
          if preprocessing.object_diameter else []),
        ("Model size", f"{manifest.model.image_size} pixels"),
        ("AIS foreground / centre / boundary threshold", f"{ais.foreground_threshold:g} / "
         f"{ais.center_distance_threshold:g} / {ais.boundary_distance_threshold:g}"),
        ("AIS foreground / distance smoothing", f"{ais.foreground_smoothing:g} / "
         f"{ais.distance_smoothing:g} pixels"),
        ("AIS smallest object", f"{ais.min_size} pixels"),
        ("Stored weights", PRECISION_NOTES.get(manifest.precision, manifest.precision)),
        ("Weights digest", f"`{manifest.model.weights_digest}`"),
    ]  # fmt: skip
    return ["", "## Input and post-processing", "", *table(("", ""), rows)]


def _adapters(manifest: Manifest) -> list[str]:
    rows = []
    for entry in manifest.adapters:
        preprocessing = entry.model.preprocessing
        scale = "longest side" if preprocessing.scale is None else f"{preprocessing.scale:g}"
        rows.append((
            entry.name, entry.segments, entry.license,
            str(entry.model.source.get("merged_from", {}).get("method", "")),
            preprocessing.intensity, scale,
            f"{preprocessing.object_diameter:g}" if preprocessing.object_diameter else "-",
            f"`{entry.model.weights_digest}`",
        ))  # fmt: skip
    header = ("name", "segments", "licence", "method", "intensities", "scale", "object diameter",
              "weights digest")  # fmt: skip
    return [
        "", "## Adapters over one encoder", "",
        f"The encoder {_encoder_place(manifest)} the base `{manifest.model.weights_digest}`.", "",
        *table(header, rows),
    ]  # fmt: skip


def _encoder_place(manifest: Manifest) -> str:
    source = manifest.encoder_from
    if source is None:
        return "holds"
    return f"is that of the package {source.name} (`{source.reference}`), pulled with it; it holds"


def _load_proofs(manifest: Manifest) -> list[str]:
    if not manifest.load_proofs:
        return []
    rows = [(p.target, f"{p.tool} {p.version}", p.result, p.date) for p in manifest.load_proofs]
    header = ("target", "tool", "result", "date")
    return ["", "## Opens in", "", "Seen with the tools' own code:", "", *table(header, rows)]


def _measured_rows(manifest: Manifest) -> list[tuple[str, str, str, str]]:
    """Return target, image size, values and IoU of each measurement, in words."""
    found = manifest.metrics.get(TOOLS)
    if not isinstance(found, Mapping):
        return []
    return [
        (
            target,
            f"{row['height']} x {row['width']}",
            f"{row['low']} to {row['high']}",
            f"{float(row['iou']):.3f}",
        )
        for target, rows in found.items()
        for row in rows
    ]


def _tools(manifest: Manifest) -> list[str]:
    rows = _measured_rows(manifest)
    if not rows:
        return []
    header = ("target", "image, pixels", "values", "mean IoU")
    text = (
        "Mean IoU of the masks that a tool shows with samzoo's, by image size, on a picture of "
        "discs: `samzoo export` measured it with the files that it wrote. The README in "
        "each target's folder says how to prepare images."
    )
    return ["", "## Masks in other tools", "", text, "", *table(header, rows)]
