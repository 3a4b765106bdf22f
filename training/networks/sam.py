"""SAM in torch, built from a config's numbers: encoder, prompt encoder, mask decoder, AIS decoder.

In: a ``ModelConfig`` and weights by the original SAM key names. Out: a ``Sam`` module. Prompt
encoder and mask decoder are segment-anything's own classes; ``samzoo.training.encoders`` has the
image encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from segment_anything.modeling import (
    MaskDecoder,
    PromptEncoder,
    TwoWayTransformer,
)
from torch import Tensor, nn

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS, Architecture
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.folders import WEIGHTS_FILE, read_model_folder
from samzoo.runtime.formats.tensor_files import check_names
from samzoo.training.encoders.steps import EncoderStep, run_steps
from samzoo.training.encoders.table import encoder_network
from samzoo.training.methods.adaptformer import add_bypasses

from .ais_decoder import build_ais_decoder
from .mask_decoding import draw_masks, predict_tokens


class Preprocess(nn.Module):
    """The preprocessing inside the encoder graph: gamma, pixel mean and std, padding."""

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing, image_size: int) -> None:
        super().__init__()
        self.gamma = preprocessing.gamma
        self.image_size = image_size
        mean, std = preprocessing.pixel_mean, preprocessing.pixel_std
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(n, 3, h, w)`` in 0..255, both sides at most ``image_size``, to encoder input."""
        if self.gamma != 1.0:
            image = 255.0 * (image.clamp(0.0, 255.0) / 255.0) ** self.gamma
        image = (image - self.mean) / self.std
        height, width = image.shape[-2], image.shape[-1]
        return F.pad(image, (0, self.image_size - width, 0, self.image_size - height))


class Sam(nn.Module):
    """All networks of a model, under the original SAM key names plus ``ais_decoder.*``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.preprocess = Preprocess(config.preprocessing, config.image_size)
        encoder = config.architecture.image_encoder
        self.image_encoder = encoder_network(encoder).build(encoder)
        add_bypasses(self.image_encoder, encoder)
        self.prompt_encoder = PromptEncoder(
            embed_dim=EMBEDDING_CHANNELS,
            image_embedding_size=(config.grid, config.grid),
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=config.architecture.mask_decoder.mask_in_chans,
        )
        self.mask_decoder = _mask_decoder(config.architecture)
        decoder = config.architecture.ais_decoder
        self.ais_decoder = build_ais_decoder(decoder) if decoder is not None else None

    def embed(self, images: Tensor) -> Tensor:
        """Map images to their embeddings.

        Args:
            images: ``(n, 3, h, w)`` in 0..255.

        Returns:
            Image embeddings, ``(n, 256, grid, grid)``.
        """
        return run_steps(self.encoder_steps(), self.preprocess(images))

    def encoder_steps(self) -> list[EncoderStep]:
        """Return the steps from preprocessed images to embeddings.

        They hold the encoder's parameters as they are now: call it again after a method is
        attached.
        """
        encoder = self.config.architecture.image_encoder
        return encoder_network(encoder).steps(self.image_encoder)

    def decode(
        self,
        image_embeddings: Tensor,
        *,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Decode prompts of ``n`` objects on one image.

        Args:
            image_embeddings: ``(1, 256, grid, grid)``.
            points: Coordinates ``(n, k, 2)`` in (x, y) pixels of the encoder's input, and labels
                ``(n, k)``.
            boxes: ``(n, 4)`` XYXY, same pixels.
            mask_input: Earlier logits ``(n, 1, 4 * grid, 4 * grid)``.
            multimask_output: Return three masks for each object instead of one.

        Returns:
            low_res_logits ``(n, c, 4 * grid, 4 * grid)`` and iou_predictions ``(n, c)``.
        """
        sparse, dense = self.prompt_encoder(points=points, boxes=boxes, masks=mask_input)
        if mask_input is None:  # equal for all objects, so one is enough
            dense = dense[:1]
        pixels, vectors, iou = predict_tokens(
            self.mask_decoder, image_embeddings, self.prompt_encoder.get_dense_pe(), sparse, dense
        )
        wanted = slice(1, None) if multimask_output else slice(0, 1)
        grid = (self.config.grid, self.config.grid)
        return draw_masks(self.mask_decoder, pixels, vectors[:, wanted], grid), iou[:, wanted]


def _mask_decoder(architecture: Architecture) -> MaskDecoder:
    config = architecture.mask_decoder
    transformer = TwoWayTransformer(
        depth=config.transformer_depth,
        embedding_dim=EMBEDDING_CHANNELS,
        mlp_dim=config.transformer_mlp_dim,
        num_heads=config.transformer_num_heads,
    )
    for module in transformer.layers.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = config.layer_norm_eps
    return MaskDecoder(
        num_multimask_outputs=config.num_multimask_outputs,
        transformer=transformer,
        transformer_dim=EMBEDDING_CHANNELS,
        iou_head_depth=config.iou_head_depth,
        iou_head_hidden_dim=config.iou_head_hidden_dim,
    )


def load_sam(folder: Path) -> Sam:
    """Read a base or model folder into a ``Sam`` in eval mode.

    Args:
        folder: Holds ``config.json`` and ``model.safetensors``.

    Returns:
        The networks with the folder's weights.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, or the weights do not belong to the config.
    """
    config, tensors = read_model_folder(folder)
    sam = Sam(config)
    load_weights(sam, tensors, where=str(folder / WEIGHTS_FILE))
    return sam.eval()


def load_weights(sam: nn.Module, tensors: Mapping[str, Any], *, where: str) -> None:
    """Load weights by name, strictly; float16 storage becomes float32.

    Raises:
        FormatError: A tensor is missing, unknown or of another shape; the message names the first.
    """
    expected = sam.state_dict()
    ending = "); the config describes another architecture"
    check_names(tensors, expected, where=where, ending=ending)
    for name, target in expected.items():
        if tuple(tensors[name].shape) != tuple(target.shape):
            raise FormatError(
                f"{where}: tensor {shown(name)} has shape {tuple(tensors[name].shape)}, "
                f"the config asks for {tuple(target.shape)}"
            )
    state = {}
    for name, value in tensors.items():
        array = np.asarray(value)
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        state[name] = torch.from_numpy(array.copy())
    sam.load_state_dict(state)


def held_once(module: nn.Module, tensors: Mapping[str, Any]) -> Tensors:
    """Return the weights that a module was loaded with, without a second copy in memory.

    Args:
        module: Holds them, on the CPU.
        tensors: The weights by name.

    Returns:
        The same by name; those of the module's dtype are the module's own memory.
    """
    state = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    return {
        name: state[name] if state[name].dtype == value.dtype else value
        for name, value in tensors.items()
    }


def weights_of(module: nn.Module) -> Tensors:
    """Return a module's state dict as numpy arrays (copies), by name."""
    return {
        name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()
    }
