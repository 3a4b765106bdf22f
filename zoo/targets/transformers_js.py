"""transformers.js' folder: Hugging Face's config files and two ONNX graphs in ``onnx/``.

A box is given as two points with the labels 2 and 3; no other point is needed.

Source: @huggingface/transformers 4.3.1, ``models/sam``, and the layout of ``Xenova/sam-vit-base``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.families.vit import VitConfig, vit_of
from samzoo.runtime.formats.files import write_json
from samzoo.runtime.formats.folders import CONFIG_FILE
from samzoo.zoo.checkpoints.huggingface import config_of, processors_of
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.packages.target import Source, Target

from .tool_export import TOOL_GRID, Graph, make_sam, write_graph
from .tool_export import refusal as grid_refusal

TOOL_VIT = VitConfig(image_size=1024, patch_size=1024 // TOOL_GRID)
"""The config's entries about the encoder; transformers.js reads only its sizes."""


def refusal(config: ModelConfig) -> str:
    """Say why a model lacks the three masks that transformers.js unpacks; empty if it has them."""
    if config.architecture.mask_decoder.num_multimask_outputs != 3:
        return "transformers.js expects three multimask outputs"
    return grid_refusal(config)


def write(folder: Path, source: Source) -> None:
    """Write the config, both processor files and ``onnx/``."""
    import torch

    from samzoo.training.networks.tool_graphs import HuggingFaceDecoder, HuggingFaceEncoder

    sam = make_sam(source)
    encoder = Graph(
        HuggingFaceEncoder(sam),
        (torch.randn(1, 3, 1024, 1024),),
        ("pixel_values",),
        ("image_embeddings", "image_positional_embeddings"),
    )
    decoder = Graph(
        HuggingFaceDecoder(sam),
        (
            torch.rand(1, 2, 3, 2) * 600,
            torch.tensor([[[1, 0, 1], [1, 1, -10]]]),
            torch.randn(1, 256, TOOL_GRID, TOOL_GRID),
            torch.randn(1, 256, TOOL_GRID, TOOL_GRID),
        ),
        ("input_points", "input_labels", "image_embeddings", "image_positional_embeddings"),
        ("iou_scores", "pred_masks"),
        {
            "input_points": {1: "point_batch_size", 2: "nb_points_per_image"},
            "input_labels": {1: "point_batch_size", 2: "nb_points_per_image"},
            "iou_scores": {1: "point_batch_size"},
            "pred_masks": {1: "point_batch_size"},
        },
    )
    (folder / "onnx").mkdir()
    write_graph(folder / "onnx" / "vision_encoder.onnx", encoder, source)
    write_graph(folder / "onnx" / "prompt_encoder_mask_decoder.onnx", decoder, source)
    # The graphs expect SAM's statistics and size, even if the model's own differ.
    architecture = source.config.architecture
    if vit_of(architecture.image_encoder) is None or source.config.image_size != 1024:
        architecture = dataclasses.replace(architecture, image_encoder=TOOL_VIT)
    shown = dataclasses.replace(
        source.config, architecture=architecture, preprocessing=Preprocessing()
    )
    write_json(folder / CONFIG_FILE, config_of(architecture))
    for name, processor in processors_of(shown).items():
        write_json(folder / name, processor)


TARGET = Target(
    name="transformers-js",
    tools=("transformers.js 4.3", "onnxruntime-web"),
    refusal=refusal,
    write=write,
    path=ToolPath(name="transformers-js", graphs=True, library="transformers.js"),
)
