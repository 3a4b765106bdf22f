"""The three graphs of a package as torch modules, with the inputs and outputs that tools expect.

In: a ``Sam``. Out: modules that the exporter traces to ONNX and that validation runs in torch, so
that both compute the same. Contracts: ``docs/formats.md``, "ONNX graphs".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from samzoo.runtime.engine.networks import MULTIMASK_OUTPUT
from samzoo.runtime.formats.arrays import Array, Float4D
from samzoo.runtime.prompts.tokens import BOX_TOP_LEFT, PADDING
from samzoo.training.encoders.table import encoder_network

from .mask_decoding import draw_masks, predict_tokens
from .sam import Sam


class EncoderGraph(nn.Module):
    """Maps ``input_image (height, width, 3)`` float32 in 0..255 to ``image_embeddings``."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.preprocess = sam.preprocess
        self.image_encoder = sam.image_encoder
        self.encoding = encoder_network(sam.config.architecture.image_encoder).encode

    def forward(self, input_image: Tensor) -> Tensor:
        """Map a resized image, its sides at most ``image_size``, to ``(1, 256, grid, grid)``."""
        x = self.preprocess(input_image.permute(2, 0, 1)[None])
        return self.encoding(self.image_encoder, x)


class AisGraph(nn.Module):
    """Maps ``image_embeddings`` to ``ais_maps (1, 3, side, side)``.

    The decoder decides ``side``: 4 times the grid for the light one, 16 times for micro-sam's.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.ais_decoder = sam.ais_decoder

    def forward(self, image_embeddings: Tensor) -> Tensor:
        """Map ``(1, 256, grid, grid)`` to AIS maps, in the order of ``AIS_CHANNELS``."""
        if self.ais_decoder is None:
            raise ValueError("this model has no AIS decoder")
        result: Tensor = self.ais_decoder(image_embeddings)
        return result


class MaskDecoderGraph(nn.Module):
    """The mask decoder, with segment-anything's six inputs and three outputs, for many objects.

    It differs from ``segment_anything.utils.onnx.SamOnnxModel``: the crop of the padding follows
    ``orig_im_size`` (1.0 traces it as a constant); ``has_mask_input`` is clamped to 0..1 (osam
    sends -1); each row of ``point_coords`` is an object; the meaning of a row's labels chooses the
    single mask, not the number of points, so that padding does not change it; and there is an
    optional input ``multimask_output``.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompt_encoder = sam.prompt_encoder
        self.mask_decoder = sam.mask_decoder
        self.image_size = sam.config.image_size
        self.scale = sam.config.preprocessing.scale
        self.multimask = sam.config.architecture.mask_decoder.point_output == "multimask"

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
        multimask_output: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode ``n`` objects.

        Args:
            image_embeddings: ``(1, 256, grid, grid)``.
            point_coords: ``(n, k, 2)`` (x, y) in pixels of the resized image.
            point_labels: ``(n, k)``: 1, 0, -1 padding, 2 and 3 box corners.
            mask_input: ``(1, 1, 4 * grid, 4 * grid)``, or one for each object.
            has_mask_input: ``(1,)``.
            orig_im_size: ``(2,)``: height and width of ``masks``.
            multimask_output: ``(1,)``: 0 (default) returns one mask for each object, chosen by its
                prompts; 1 the multimask outputs; -1 the single-mask output. See
                ``MULTIMASK_OUTPUT``.

        Returns:
            ``masks (n, c, height, width)`` logits, ``iou_predictions (n, c)`` and
            ``low_res_masks (n, c, 4 * grid, 4 * grid)``; c is 1, or 3 with multimask outputs.
        """
        iou, logits = self.decode(
            image_embeddings,
            point_coords,
            point_labels,
            mask_input,
            has_mask_input,
            torch.zeros(1) if multimask_output is None else multimask_output,
        )
        return self._to_original_size(logits, orig_im_size), iou, logits

    def decode(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        multimask_output: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return ``iou_predictions`` and ``low_res_masks`` of ``forward``."""
        sparse = self._embed_points(point_coords, point_labels)
        dense = self._embed_mask(mask_input, has_mask_input)
        pixels, vectors, iou = predict_tokens(
            self.mask_decoder,
            image_embeddings,
            self.prompt_encoder.get_dense_pe(),
            sparse,
            dense,
        )
        wanted = self._wanted_masks(iou, point_labels, multimask_output)
        # Masks are chosen before they are drawn, because drawing costs as much as all attention.
        vectors = vectors[wanted].reshape(iou.shape[0], -1, vectors.shape[2])
        iou = iou[wanted].reshape(iou.shape[0], -1)
        grid = self.prompt_encoder.image_embedding_size
        return iou, draw_masks(self.mask_decoder, pixels, vectors, grid)

    def _wanted_masks(self, iou: Tensor, point_labels: Tensor, multimask_output: Tensor) -> Tensor:
        """Mark the wanted outputs, ``(n, outputs)`` bool, equally many in each row.

        Output 0 was trained for prompts that say what is meant (a box, several points). The others
        were trained for a single ambiguous point; the one with the best predicted IoU counts.
        """
        index = torch.arange(iou.shape[1], device=iou.device)[None]
        first = (index == 0).expand(iou.shape[0], -1)
        chosen = first
        if self.multimask:
            tokens = (point_labels != PADDING).sum(dim=1, keepdim=True)
            clear = (tokens > 1) | (point_labels >= BOX_TOP_LEFT).any(dim=1, keepdim=True)
            # IoU predictions lie near 0 to 1: adding 1000 decides, and the order of the others
            # stays.
            bonus = torch.where(clear, 1000.0, -1000.0)
            chosen = index == torch.argmax(iou + bonus * first, dim=1, keepdim=True)
        all_others, single = multimask_output > 0.5, multimask_output < -0.5
        # Logic instead of `where`, which onnxruntime lacks for booleans.
        alone = (first & single) | (chosen & ~single)
        return (~first & all_others) | (alone & ~all_others)

    def _embed_points(self, coords: Tensor, labels: Tensor) -> Tensor:
        encoder = self.prompt_encoder
        # +0.5: a coordinate names a pixel, and the embedding is of its centre (segment-anything).
        embedding: Tensor = encoder.pe_layer._pe_encoding((coords + 0.5) / self.image_size)
        labels = labels[..., None]
        embedding = embedding * (labels != PADDING)
        embedding = embedding + encoder.not_a_point_embed.weight * (labels == PADDING)
        for label, learned in enumerate(encoder.point_embeddings):
            embedding = embedding + learned.weight * (labels == label)
        return embedding

    def _embed_mask(self, mask_input: Tensor, has_mask_input: Tensor) -> Tensor:
        encoder = self.prompt_encoder
        has = has_mask_input.clamp(0.0, 1.0).reshape(-1, 1, 1, 1)
        no_mask = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        dense: Tensor = has * encoder.mask_downscaling(mask_input) + (1.0 - has) * no_mask
        return dense

    def _to_original_size(self, logits: Tensor, orig_im_size: Tensor) -> Tensor:
        side = self.image_size
        # float64 rounds as Python does in `input_size`.
        size = orig_im_size.to(torch.float64)
        factor = side / size.max() if self.scale is None else self.scale
        rows, columns = torch.floor(size * factor + 0.5).to(torch.int64).clamp(1, side)
        if side % logits.shape[2] == 0:
            # This computes the same without enlarging the padding; it needs one more row than is
            # kept.
            ratio = side // logits.shape[2]
            logits = logits[:, :, : rows // ratio + 2, : columns // ratio + 2]
            masks = F.interpolate(
                logits, scale_factor=float(ratio), mode="bilinear", align_corners=False
            )
        else:
            masks = F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
        masks = masks[:, :, :rows, :columns]
        height, width = orig_im_size.to(torch.int64)
        return F.interpolate(masks, size=(height, width), mode="bilinear", align_corners=False)


class TorchNetworks:
    """The networks of ``samzoo.runtime``, computed in torch by a ``Sam`` that is being trained.

    Args:
        sam: The networks.
        autocast: Context in which they compute.
        encode: Replaces the encoder graph.
    """

    def __init__(
        self,
        sam: Sam,
        autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
        encode: Callable[[Array], Float4D] | None = None,
    ) -> None:
        self._own_encode = encode
        self._autocast = autocast
        self._encoder = EncoderGraph(sam)
        self._mask_decoder = MaskDecoderGraph(sam)
        self._ais = AisGraph(sam)
        self._mask_side = sam.config.mask_side
        self._device = sam.preprocess.mean.device

    @torch.inference_mode()
    def encode(self, image: Array) -> Float4D:
        """See ``samzoo.runtime.engine.networks.Networks``."""
        if self._own_encode is not None:
            return self._own_encode(image)
        with self._autocast():
            return _array(self._encoder(self._tensor(image)))

    @torch.inference_mode()
    def decode_prompts(
        self,
        image_embeddings: Float4D,
        point_coords: NDArray[np.float32],
        point_labels: NDArray[np.float32],
        mask_input: Float4D | None,
        *,
        multimask_output: bool | None = None,
    ) -> tuple[NDArray[np.float32], Float4D]:
        """See ``samzoo.runtime.engine.networks.Networks``."""
        has = mask_input is not None
        if mask_input is None:
            mask_input = np.zeros((1, 1, self._mask_side, self._mask_side), np.float32)
        with self._autocast():
            iou, low = self._mask_decoder.decode(
                self._tensor(image_embeddings),
                self._tensor(point_coords),
                self._tensor(point_labels),
                self._tensor(mask_input),
                torch.full((1,), float(has), device=self._device),
                torch.full((1,), MULTIMASK_OUTPUT[multimask_output], device=self._device),
            )
        return _array(iou), _array(low)

    @torch.inference_mode()
    def decode_ais(self, image_embeddings: Float4D) -> Float4D:
        """See ``samzoo.runtime.engine.networks.Networks``."""
        with self._autocast():
            return _array(self._ais(self._tensor(image_embeddings)))

    def _tensor(self, value: Array) -> Tensor:
        return torch.tensor(np.asarray(value, dtype=np.float32), device=self._device)


def _array(value: Tensor) -> NDArray[np.float32]:
    result: NDArray[np.float32] = value.float().cpu().numpy()
    return result
