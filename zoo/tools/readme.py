"""The README in a target's folder: how to prepare images, what was measured, what is left out.

In: a model, a tool's path and the rows of ``agreement.py``. Out: Markdown. No number in it is typed
by hand.
"""

from __future__ import annotations

from collections.abc import Sequence

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import Manifest
from samzoo.runtime.images.geometry import field_of_view
from samzoo.zoo.cards.card_header import license_fields, yaml_lines
from samzoo.zoo.checkpoints.tools.differences import (
    ToolPath,
    lost_answers,
    lost_decoder,
    lost_settings,
)
from samzoo.zoo.checkpoints.tools.folded_statistics import (
    SAM_STATISTICS_FILE,
    has_sam_statistics,
    takes_sam_statistics,
)
from samzoo.zoo.packages.target import Source, Target

from .agreement import CLOSE, Row
from .examples import POINTS


def folder_text(target: Target, path: ToolPath, source: Source, rows: Sequence[Row]) -> str:
    """Write the README of a target's folder.

    Args:
        target: The target.
        path: What its tool does with an image.
        source: The model.
        rows: What was measured.

    Returns:
        Markdown; with Hugging Face's header where the folder is a repository of its own.
    """
    manifest, config = source.manifest, source.config
    opens = ", ".join(target.tools)
    parts = [
        *_header(path, manifest),
        f"# {manifest.name} for {opens}",
        f"Written by samzoo. Licence: {manifest.license or 'not declared'}. Weights are float32.",
        "## Images",
        *_intensities(config, path),
        *_statistics(config, path),
        *_scale(config, rows),
        *_canvas(path),
        "## What was measured",
        "These files were run as the tool runs them when they were written: on a picture of discs, "
        f"at {POINTS} points. The IoU is that of the tool's masks with samzoo's on the same image.",
        _table(rows),
        *_left_out(config, path),
    ]
    return "\n\n".join(parts) + "\n"


def measured_sentence(rows: Sequence[Row]) -> str:
    """Return what was measured in a few words, for a note."""
    found = "; ".join(
        f"{row['iou']:.3f} at {row['height']} x {row['width']} pixels, values {row['low']} to "
        f"{row['high']}"
        for row in rows
    )
    return f"measured IoU with samzoo's masks: {found}"


def _header(path: ToolPath, manifest: Manifest) -> list[str]:
    if not path.library:
        return []
    fields = {
        **license_fields(manifest),
        "library_name": path.library,
        "pipeline_tag": "mask-generation",
    }
    return ["\n".join(["---", *yaml_lines(fields), "---"])]


def _intensities(config: ModelConfig, path: ToolPath) -> list[str]:
    given = config.preprocessing
    if path.graphs:
        return [
            "Give 8-bit images as they are: the encoder's graph stretches intensities as the model "
            "needs, on the whole image that the tool shows."
        ]
    settings = [text for text in lost_settings(config, path) if text[:1] in "ig"]
    if path.stretches and given.intensity == "none":
        return [
            "Intensities: the tool stretches each channel from its minimum and maximum to 0..255. "
            "This model was trained without that. Images that reach 0 and 255 in each channel stay "
            "as they are; for others, and for colours, the masks may differ from samzoo's.",
            *(
                [f"**Gamma**: apply {given.gamma:g} yourself, on the range 0..1."]
                * (given.gamma != 1)
            ),
        ]
    if not settings:
        if path.stretches:
            return [
                "Intensities: the tool stretches each channel itself. samzoo stretches them all "
                "together, so colours may differ; grey images do not."
            ]
        return [
            "Intensities: nothing to do for 8-bit images. Stretch images of other types from their "
            "minimum and maximum to 0..255, as samzoo does."
        ]
    low, high = given.percentiles if given.intensity == "percentile" else (0.0, 100.0)
    wanted = {
        "none": "",
        "min_max": "stretched from its minimum and maximum to 0..255",
        "percentile": f"stretched from its percentiles {low:g} and {high:g} to 0..255, and clipped",
    }[given.intensity]
    gamma = f"gamma {given.gamma:g} on the range 0..1" if given.gamma != 1 else ""
    steps = ", then ".join(text for text in (wanted, gamma) if text)
    text = (
        f"**Prepare every image**: {steps}. These files cannot say so ({', '.join(settings)}), the "
        "limits depend on the image, so no weights can hold them, and the tool does not do it."
    )
    return [text, _how(config, path, low, high)]


def _how(config: ModelConfig, path: ToolPath, low: float, high: float) -> str:
    gamma = config.preprocessing.gamma
    if path.prepare:
        limits = (
            "the image's minimum and maximum"
            if config.preprocessing.intensity != "percentile"
            else f"the image's percentiles {low:g} and {high:g}"
        )
        return f"{path.prepare.strip()} Here these are {limits}."
    if path.code:
        lines = [
            f"low, high = np.percentile(image, ({low:g}, {high:g}))",
            "image = np.clip((image - low) * (255 / max(high - low, 1e-6)), 0, 255)",
            *([f"image = 255 * (image / 255) ** {gamma:g}"] if gamma != 1 else []),
            "image = image.astype(np.uint8)",
        ]
        return "\n".join(
            ["In Python, before the tool gets the image (a NumPy array):", "", "```python", *lines,
             "```"]
        )  # fmt: skip
    saturated = low + (100 - high)
    steps = [
        f"Process > Enhance Contrast: Saturated pixels {saturated:g} %, tick Normalize",
        *([f"Process > Math > Gamma: {gamma:g}"] if gamma != 1 else []),
        "Image > Type > 8-bit",
        "File > Save As > PNG",
    ]
    return (
        "Prepare the files before you import them, for example in Fiji: " + "; ".join(steps) + "."
    )


def _statistics(config: ModelConfig, path: ToolPath) -> list[str]:
    given = config.preprocessing
    if path.graphs or path.statistics or has_sam_statistics(given):
        return []
    if not takes_sam_statistics(config):
        return [
            "The plain file is for the network's own code, which takes images in 0..1 and does not "
            f"normalise. The file that ends in `{SAM_STATISTICS_FILE}` takes images in 0..255 in a "
            "tool that normalises with SAM's mean and std: the model's own statistics are folded "
            "into its first layer. Only the padding right of and below an image that is not square "
            "differs: it is SAM's mean colour. The numbers below are those of this file."
        ]
    return [
        "The files take images in 0..255. The tool normalises with SAM's mean and std; the model's "
        "own statistics are folded into the first layer of the weights. Only the padding right of "
        "and below an image that is not square differs: it is SAM's mean colour."
    ]


def _scale(config: ModelConfig, rows: Sequence[Row]) -> list[str]:
    scale = config.preprocessing.scale
    if scale is None:
        return []
    field = field_of_view(config.image_size, scale)
    return [
        f"**Image size matters**: the model was trained at {scale:g} model pixels an image pixel "
        f"and sees {field} x {field} pixels at once. samzoo cuts larger images into tiles. This "
        "tool shows the whole image, so objects in a larger image become too small, and those in a "
        f"smaller one too large. Crop images to about {field} x {field} pixels, or resize them so "
        "that objects have the size that they have in such a crop.",
        holding_sentence(rows),
    ]


def holding_sentence(rows: Sequence[Row]) -> str:
    """Say for which of the measured image sizes the tool's masks are samzoo's.

    Args:
        rows: What was measured; rows of less than the full contrast are not used.

    Returns:
        One sentence with sizes and numbers.
    """
    full = [row for row in rows if (row["low"], row["high"]) == (0, 255)]
    told = [
        f"{row['height']} x {row['width']} pixels (IoU {row['iou']:.3f})"
        for holds in (True, False)
        for row in full
        if (row["iou"] >= CLOSE) == holds
    ]
    count = sum(row["iou"] >= CLOSE for row in full)
    good, bad = _joined(told[:count]), _joined(told[count:])
    if not bad:
        return f"Of the sizes measured, these files hold for {good}."
    return f"Of the sizes measured, these files hold for {good or 'none'}; not for {bad}."


def _joined(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), *texts[-1:]]) if len(texts) > 1 else "".join(texts)


def _canvas(path: ToolPath) -> list[str]:
    if path.canvas is None:
        return []
    height, width = path.canvas
    return [
        f"The tool draws every image into {height} x {width} pixels, so square and upright images "
        "lose resolution."
    ]


def _table(rows: Sequence[Row]) -> str:
    lines = ["| image, pixels | values | mean IoU |", "| --- | --- | --- |"]
    lines += [
        f"| {row['height']} x {row['width']} | {row['low']} to {row['high']} | {row['iou']:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _left_out(config: ModelConfig, path: ToolPath) -> list[str]:
    answers = [*filter(None, [lost_decoder(config, path)]), *lost_answers(config, path)]
    if not answers:
        return []
    return ["## What is left out", "\n".join(f"- {answer}" for answer in answers)]
