"""Reading and writing of the configs and processor files in Hugging Face's ``SamModel`` folders.

In: a folder with ``config.json``, or a model's config. Out: the other of the two. Needs neither
transformers nor torch.

Source: transformers 5.23.0, ``models/sam``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, InputError, NotFoundError, shown
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS, Architecture, MaskDecoderConfig
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.families.table import family_of
from samzoo.runtime.formats.families.vit import vit_of
from samzoo.runtime.formats.files import read_json
from samzoo.runtime.formats.folders import CONFIG_FILE, WEIGHTS_FILE

from .known import MODEL_TYPES, SUPPORTED
from .shards import INDEX_FILES

MODEL_TYPE = "sam"
WEIGHTS_FILES = (WEIGHTS_FILE, "pytorch_model.bin")
"""Names of a file with all weights. Source: transformers 5.23.0, accelerate 1.12."""

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
"""transformers.js reads the first file, transformers 5 writes the second; either is enough here."""

MAX_RGB = 255.0

DEFAULT_IMAGE_SIZE = 1024
"""``SamVisionConfig``'s, where a config gives none."""

BILINEAR = 2
"""Pillow's number of the resampling that SAM has."""

FIXED: dict[str, dict[str, tuple[Any, ...]]] = {
    "vision_config": {"hidden_act": ("gelu",), "layer_norm_eps": (1e-6,), "num_channels": (3,)},
    "prompt_encoder_config": {"hidden_act": ("gelu",), "layer_norm_eps": (1e-6,)},
    "mask_decoder_config": {"hidden_act": ("relu",)},
}
"""Settings of a config that the weights do not show, with the values that SAM has."""

SHOWN: dict[str, tuple[str, ...]] = {
    "vision_config": (
        "global_attn_indexes", "hidden_size", "image_size", "mlp_dim", "num_attention_heads",
        "num_hidden_layers", "output_channels", "patch_size", "qkv_bias", "use_abs_pos",
        "use_rel_pos", "window_size",
    ),
    "prompt_encoder_config": (
        "hidden_size", "image_embedding_size", "image_size", "mask_input_channels",
        "num_point_embeddings", "patch_size",
    ),
    "mask_decoder_config": (
        "attention_downsample_rate", "hidden_size", "iou_head_depth", "iou_head_hidden_dim",
        "mlp_dim", "num_hidden_layers", "num_multimask_outputs",
    ),
}  # fmt: skip
"""Settings of a config that the weights show, too: both must say the same."""

EPS_OF_HUGGINGFACE = 1e-6
"""``layer_norm_eps`` of a mask decoder whose config does not give it. Source: transformers 5.23.0,
``SamMaskDecoderConfig``."""


@dataclass(frozen=True)
class FolderNumbers:
    """The settings of a Hugging Face folder that its weights do not show."""

    transformer_num_heads: int
    layer_norm_eps: float
    preprocessing: Preprocessing | None
    path: Path
    config: Mapping[str, Any]

    def check(self, architecture: Architecture) -> None:
        """Check that the config describes the networks that the weights show.

        Raises:
            FormatError: The two differ; the message names the first setting.
            InputError: The image encoder is not a ViT.
        """
        expected = config_of(architecture)
        for section, names in SHOWN.items():
            given = self.config.get(section) or {}
            for name in names:
                wanted = expected[section][name]
                if given.get(name) is not None and given[name] != wanted:
                    raise FormatError(
                        f"{self.path}: {section}.{name}: found {shown(given[name])}, but its "
                        f"weights are those of {shown(wanted)}; fetch config and weights of one "
                        "model"
                    )


def is_folder(folder: Path) -> bool:
    """Whether a folder's config says that it is a Hugging Face model."""
    path = folder / CONFIG_FILE
    return path.is_file() and "model_type" in read_json(path)


def read_folder(folder: Path) -> tuple[Path, FolderNumbers]:
    """Read the configs of a ``SamModel`` folder.

    Returns:
        The path of the weights, and the settings that they do not show.

    Raises:
        NotFoundError: The folder has no single file of weights.
        FormatError: A config is damaged, or describes a model other than SAM.
    """
    path = folder / CONFIG_FILE
    config = read_json(path)
    if config.get("model_type") != MODEL_TYPE:
        found = config.get("model_type")
        known = MODEL_TYPES.get(found) if isinstance(found, str) else None
        raise FormatError(
            f"{path}: model_type: found {shown(found)}{f', which is {known}' if known else ''}, "
            f"allowed is {MODEL_TYPE!r}; {SUPPORTED}"
        )
    for section, allowed in FIXED.items():
        values = config.get(section) or {}
        if not isinstance(values, Mapping):
            raise FormatError(f"{path}: {section}: expected an object, found {shown(values)}")
        for key, choices in allowed.items():
            if key in values and values[key] not in choices:
                raise FormatError(
                    f"{path}: {section}.{key}: found {shown(values[key])}, SAM has "
                    f"{' or '.join(str(choice) for choice in choices)}"
                )
    heads = (config.get("mask_decoder_config") or {}).get(
        "num_attention_heads", MaskDecoderConfig.transformer_num_heads
    )
    if not isinstance(heads, int) or heads < 1 or EMBEDDING_CHANNELS // 2 % heads:
        raise FormatError(
            f"{path}: mask_decoder_config.num_attention_heads: found {shown(heads)}, expected a "
            f"divisor of {EMBEDDING_CHANNELS // 2}"
        )
    eps = (config.get("mask_decoder_config") or {}).get("layer_norm_eps", EPS_OF_HUGGINGFACE)
    if not isinstance(eps, float) or not 0 < eps < 1:
        raise FormatError(
            f"{path}: mask_decoder_config.layer_norm_eps: found {shown(eps)}, expected a number "
            "between 0 and 1"
        )
    for name in (*WEIGHTS_FILES, *INDEX_FILES):
        if (folder / name).is_file():
            processor = _read_processor(folder, _image_size(config))
            numbers = FolderNumbers(heads, eps, processor, path, config)
            return folder / name, numbers
    raise NotFoundError(
        f"{folder}: holds no weights; expected {WEIGHTS_FILE}, or {INDEX_FILES[0]} with its files"
    )


def _image_size(config: Mapping[str, Any]) -> Any:
    """Return the network's image size as the config gives it, or Hugging Face's default."""
    return (config.get("vision_config") or {}).get("image_size", DEFAULT_IMAGE_SIZE)


def _read_processor(folder: Path, image_size: Any) -> Preprocessing | None:
    for name in PROCESSOR_FILES:
        path = folder / name
        if path.is_file():
            value = read_json(path)
            value = value.get("image_processor", value)
            if isinstance(value, Mapping) and "image_mean" in value:
                _check_sides(value, path, image_size)
                return _preprocessing(value, path)
    return None


def _check_sides(value: Mapping[str, Any], path: Path, image_size: Any) -> None:
    """Refuse a processor that brings images to another size than the network's, or in another way.

    A field that is missing has SAM's value.
    """
    for key, allowed in (
        ("size", {"longest_edge": image_size}),
        ("pad_size", {"height": image_size, "width": image_size}),
        ("resample", BILINEAR),
    ):
        if value.get(key, allowed) not in (None, allowed):
            raise FormatError(
                f"{path}: {key}: found {shown(value[key])}, expected {shown(allowed)}, as the "
                f"network of {CONFIG_FILE} takes images; correct the one that is wrong"
            )


def _preprocessing(value: Mapping[str, Any], path: Path) -> Preprocessing:
    for key in ("do_resize", "do_rescale", "do_normalize", "do_pad"):
        if value.get(key, True) is not True:
            raise FormatError(f"{path}: {key}: found {shown(value[key])}, SAM has true")
    factor = value.get("rescale_factor", 1 / MAX_RGB)
    if not isinstance(factor, float) or not math.isclose(factor, 1 / MAX_RGB, rel_tol=1e-6):
        raise FormatError(f"{path}: rescale_factor: found {shown(factor)}, SAM has 1/255")
    mean, std = _statistics(value, "image_mean", path), _statistics(value, "image_std", path)
    if min(std) <= 0:
        raise FormatError(f"{path}: image_std: must be positive, found {shown(value['image_std'])}")
    return Preprocessing(pixel_mean=mean, pixel_std=std)


def _statistics(value: Mapping[str, Any], name: str, path: Path) -> tuple[float, float, float]:
    """Read three numbers in the range 0..1 and bring them to the range 0..255."""
    numbers = value.get(name)
    if (
        not isinstance(numbers, list)
        or len(numbers) != 3
        or any(type(n) not in (int, float) or not abs(n) <= MAX_RGB for n in numbers)
    ):
        raise FormatError(f"{path}: {name}: expected 3 numbers, found {shown(numbers)}")
    # Rounded to what SAM's own files say: 0.485 * 255 is 123.67500000000001.
    red, green, blue = (round(number * MAX_RGB, 6) for number in numbers)
    return red, green, blue


def config_of(architecture: Architecture) -> dict[str, Any]:
    """Write a model's numbers as the ``config.json`` of a ``SamModel``.

    Raises:
        InputError: The image encoder is not a ViT.
    """
    encoder, decoder = vit_of(architecture.image_encoder), architecture.mask_decoder
    if encoder is None:
        noun = family_of(architecture.image_encoder).noun
        raise InputError(
            f"Hugging Face's SamModel has a ViT encoder, but this model has a {noun}; write "
            "another format: segment-anything or micro-sam"
        )
    if decoder.iou_head_depth < 2:
        raise InputError("Hugging Face's SamModel has an IoU head of at least 2 layers, not 1")
    return {
        "architectures": ["SamModel"],
        "dtype": "float32",
        "initializer_range": 0.02,
        "mask_decoder_config": {
            "attention_downsample_rate": 2,
            "hidden_act": "relu",
            "hidden_size": EMBEDDING_CHANNELS,
            "iou_head_depth": decoder.iou_head_depth,
            "iou_head_hidden_dim": decoder.iou_head_hidden_dim,
            "layer_norm_eps": decoder.layer_norm_eps,
            "mlp_dim": decoder.transformer_mlp_dim,
            "model_type": "sam_mask_decoder",
            "num_attention_heads": decoder.transformer_num_heads,
            "num_hidden_layers": decoder.transformer_depth,
            "num_multimask_outputs": decoder.num_multimask_outputs,
        },
        "model_type": MODEL_TYPE,
        "prompt_encoder_config": {
            "hidden_act": "gelu",
            "hidden_size": EMBEDDING_CHANNELS,
            "image_embedding_size": encoder.grid,
            "image_size": encoder.image_size,
            "layer_norm_eps": 1e-6,
            "mask_input_channels": decoder.mask_in_chans,
            "model_type": "sam_prompt_encoder",
            "num_point_embeddings": 4,
            "patch_size": encoder.patch_size,
        },
        "tie_word_embeddings": True,
        "vision_config": {
            "attention_dropout": 0.0,
            "global_attn_indexes": list(encoder.global_attn_indexes),
            "hidden_act": "gelu",
            "hidden_size": encoder.embed_dim,
            "image_size": encoder.image_size,
            "initializer_range": 1e-10,
            "layer_norm_eps": 1e-6,
            "mlp_dim": int(encoder.embed_dim * encoder.mlp_ratio),
            "mlp_ratio": encoder.mlp_ratio,
            "model_type": "sam_vision_model",
            "num_attention_heads": encoder.num_heads,
            "num_channels": 3,
            "num_hidden_layers": encoder.depth,
            "num_pos_feats": EMBEDDING_CHANNELS // 2,
            "output_channels": EMBEDDING_CHANNELS,
            "patch_size": encoder.patch_size,
            "qkv_bias": True,
            "scale": encoder.embed_dim // 2,
            "use_abs_pos": True,
            "use_rel_pos": True,
            "window_size": encoder.window_size,
        },
    }


def processors_of(config: ModelConfig) -> dict[str, dict[str, Any]]:
    """Return the contents of both processor files for a model's preprocessing, by file name."""
    side, mask_side = config.image_size, config.mask_side
    image_processor = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [value / MAX_RGB for value in config.preprocessing.pixel_mean],
        "image_processor_type": "SamImageProcessor",
        "image_std": [value / MAX_RGB for value in config.preprocessing.pixel_std],
        "mask_pad_size": {"height": mask_side, "width": mask_side},
        "mask_size": {"longest_edge": mask_side},
        "pad_size": {"height": side, "width": side},
        "resample": 2,
        "rescale_factor": 1 / MAX_RGB,
        "size": {"longest_edge": side},
    }
    processor = {"processor_class": "SamProcessor"}
    return {
        "preprocessor_config.json": {**image_processor, **processor},
        "processor_config.json": {"image_processor": image_processor, **processor},
    }
