"""What the files for another tool cannot say of a model, so that its masks differ there.

In: a model's config and a tool's path, which says what happens to an image before the encoder. Out:
the settings that are lost, in words.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass

from samzoo.runtime.formats.architecture import UnetrDecoderConfig
from samzoo.runtime.formats.config import AisParameters, ModelConfig, Preprocessing

from .builders import unusual_network
from .folded_statistics import takes_sam_statistics

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ToolPath:
    """A tool with the files that samzoo writes for it.

    Every tool here shows the model the whole image, its longest side brought to the model's size.

    Attributes:
        name: The files' name in messages: the target.
        graphs: The files are graphs of samzoo's. They stretch intensities and apply gamma and pixel
            statistics themselves, and they choose the mask.
        stretches: The tool stretches each channel from its minimum to its maximum itself.
        statistics: The files say pixel mean and std.
        decoders: Types of AIS decoder that the files hold.
        canvas: (height, width) of the canvas that the tool draws the image into; None: no canvas.
        code: The tool is called from Python, so that a few lines of NumPy prepare an image.
        prepare: How to prepare an image in this tool, by name of its menu; empty: before it.
        library: ``library_name`` of Hugging Face's model header; empty for other tools.
    """

    name: str
    graphs: bool = False
    stretches: bool = False
    statistics: bool = False
    decoders: tuple[str, ...] = ()
    canvas: tuple[int, int] | None = None
    code: bool = False
    prepare: str = ""
    library: str = ""


SEGMENT_ANYTHING = ToolPath(name="segment-anything", code=True)

MICRO_SAM = ToolPath(name="micro-sam", stretches=True, decoders=("unetr",), code=True)
"""Source: micro-sam 1.8.14, ``util._to_image``."""

HUGGINGFACE = ToolPath(name="huggingface", statistics=True, code=True, library="transformers")

PEFT_PATH = ToolPath(name="peft", statistics=True, code=True)
"""Hugging Face's ``peft`` over a ``SamModel``, whose processor has the statistics."""


STRETCHED_BY_TOOL = "intensity none, where the tool stretches each channel from minimum to maximum"
"""The setting that is lost where a tool does more than the model needs."""


def lost_settings(config: ModelConfig, path: ToolPath) -> list[str]:
    """List the settings of image preparation that the files cannot hold, each with its value.

    Args:
        config: The model's config.
        path: What the tool does with an image.

    Returns:
        Such as ``["intensity percentile 0.1 to 99.9", "gamma 0.7", "scale 1.5"]``; empty if an
        image reaches the encoder as in samzoo.
    """
    given, plain = config.preprocessing, Preprocessing()
    lost = []
    if not path.graphs:
        if given.intensity == "percentile":
            low, high = given.percentiles
            lost.append(f"intensity percentile {low:g} to {high:g}")
        elif given.intensity == "min_max" and not path.stretches:
            lost.append("intensity min_max")
        elif given.intensity == "none" and path.stretches:
            lost.append(STRETCHED_BY_TOOL)
        if given.gamma != plain.gamma:
            lost.append(f"gamma {given.gamma:g}")
    if given.scale is not None:
        lost.append(f"scale {given.scale:g}")
    if not path.graphs and not path.statistics and not takes_sam_statistics(config):
        lost.append(f"pixel_mean {given.pixel_mean}, pixel_std {given.pixel_std}")
    return lost


def holds_decoder(config: ModelConfig, path: ToolPath) -> bool:
    """Tell whether the model has an AIS decoder that the tool's files hold."""
    ais = config.architecture.ais_decoder
    return ais is not None and ais.type in path.decoders


def lost_decoder(config: ModelConfig, path: ToolPath) -> str:
    """Say that the files hold no AIS decoder though the model has one; empty otherwise."""
    ais = config.architecture.ais_decoder
    if ais is None or holds_decoder(config, path):
        return ""
    return f"The files cannot hold its AIS decoder ({ais.type}): there is no AIS in this tool."


def lost_answers(config: ModelConfig, path: ToolPath) -> list[str]:
    """List what else the files cannot hold: the network's sizes, thresholds, the chosen mask.

    Args:
        config: The model's config.
        path: What the tool does with an image.

    Returns:
        One sentence for each, with what to do about it.
    """
    lost = []
    ais = config.architecture.ais_decoder
    if not path.graphs and not path.statistics and (network := unusual_network(config)):
        lost.append(network)
    if holds_decoder(config, path):
        plain = AisParameters()
        values = {
            field.name: getattr(config.ais, field.name)
            for field in dataclasses.fields(plain)
            if getattr(config.ais, field.name) != getattr(plain, field.name)
        }
        if values:
            given = ", ".join(f"{name}={value:g}" for name, value in values.items())
            lost.append(
                f"The model's AIS thresholds are left out; pass them to generate(): {given}."
            )
        if isinstance(ais, UnetrDecoderConfig) and ais.batch_norm == "running":
            lost.append(
                "micro-sam's command line leaves the AIS decoder in training mode, where BatchNorm "
                "uses the image's statistics; in Python call eval() on it."
            )
    if not path.graphs and config.architecture.mask_decoder.point_output == "single":
        lost.append(
            "The model answers a point with one mask; ask for that one (multimask_output=False), "
            "not for the best of three."
        )
    return lost


def tell_differences(config: ModelConfig, path: ToolPath, *, where: str) -> None:
    """Warn about what the tool's files cannot hold, since the masks will then differ.

    Args:
        config: The model's config.
        path: What the tool does with an image.
        where: The model, for the message.
    """
    told = [
        preparation_sentence(config, path),
        lost_decoder(config, path),
        *lost_answers(config, path),
    ]
    for sentence in filter(None, told):
        logger.warning("%s: %s: %s", where, path.name, sentence)


def preparation_sentence(config: ModelConfig, path: ToolPath) -> str:
    """Say in one sentence that the tool prepares images in another way; empty if it does not."""
    settings = lost_settings(config, path)
    if not settings:
        return ""
    return (
        f"files cannot say how images are prepared ({', '.join(settings)}); prepare them in this "
        "way yourself, or the masks will differ"
    )
