"""The documentation inside a BioImage.IO package, made from the manifest alone.

In: a model and its inputs. Out: Markdown with the section on validation that the spec asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.packages.target import Source

from .tensors import POINTS, Value


def render_readme(source: Source, inputs: Sequence[Value], purpose: str) -> str:
    """Write the documentation.

    Args:
        source: The model.
        inputs: The package's inputs; the first is the image.
        purpose: What the package is for.

    Returns:
        Markdown.
    """
    manifest = source.manifest
    card = manifest.card
    sections = [
        f"# {manifest.name}: {purpose}",
        card.get("description", ""),
        f"## Use\n\n{_use(source, inputs)}",
        *(
            f"## {title}\n\n{card[key]}"
            for key, title in (
                ("intended_use", "Intended use"),
                ("limitations", "Limitations"),
                ("training_data", "Training data"),
                ("authors", "Authors and citation"),
            )
            if card.get(key)
        ),
        f"# Validation\n\n{_validation(manifest)}",
    ]
    return "\n\n".join(text for text in sections if text) + "\n"


def _use(source: Source, inputs: Sequence[Value]) -> str:
    side = inputs[0].test.shape[-1]
    lines = [
        f"- The network sees {side} x {side} pixels at once. An image must have at least as many "
        "along each side; pad a smaller one.",
    ]
    if len(inputs) == 1:
        lines += [
            "- A larger image is predicted in blocks (`predict_sample_with_blocking` of "
            "bioimageio.core). Blocks abut without overlap, so objects at their borders are less "
            "exact than in samzoo, whose tiles overlap.",
            "- The maps become labels by a seeded watershed; its parameters are in the "
            "description, `config.samzoo.postprocessing`.",
        ]
    else:
        lines += [
            "- It segments one object in one image of that size. Blocks of a larger image would "
            "need prompts of their own, so bioimageio.core refuses it: crop the image around the "
            "object.",
            f"- Give {POINTS} points; those that you do not need have the coordinates 0 and the "
            "label -1. A box is two points with the labels 2 and 3.",
        ]
    preprocessing = source.config.preprocessing
    if preprocessing.intensity == "none":
        lines.append("- The image must have 8-bit intensities, 0..255. Bring others there first.")
    else:
        lines.append(
            "- Intensities are stretched over the whole image by the description's operations. "
            "Give the image as it is, and one image at a time; a cropped image is stretched by "
            "itself. Multiply floats that span less than 0.001: bioimageio.core adds 0.000001 to "
            "their range."
        )
    if preprocessing.scale is not None:
        lines.append(
            f"- The model was trained at {preprocessing.scale:g} model pixels for each image "
            "pixel. Objects much larger or smaller than those it was trained on are not found."
        )
    lines.append(
        "- samzoo opens this zip itself: `samzoo pull bioimageio:FILE.zip`, then "
        "`--model bioimageio:FILE.zip`. This gives the labels of the original package."
    )
    return "\n".join(lines)


def _validation(manifest: Manifest) -> str:
    lines = []
    for entry in manifest.metrics.get("evaluations", []):
        scores = ", ".join(f"{task} {value['msa']:.3f}" for task, value in entry["scores"].items())
        lines.append(
            f"- {entry.get('subject', 'this model')}, {entry.get('data', '')} "
            f"{entry.get('split', '')}: mSA {scores}"
        )
    return "\n".join(lines) or "No scores were measured; look at the results on your own images."
