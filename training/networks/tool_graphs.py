"""Encoder and decoder graphs by the conventions of other annotation tools, as torch modules.

In: a ``Sam``. Out: modules that ``samzoo.zoo.targets`` traces. Tools expect SAM at 1024 pixels. A
model of another size works behind that interface: the encoder's graph resizes the image, and the
decoder's graph scales the coordinates. ``docs/targets.md`` says what each tool feeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samzoo.runtime.formats.config import SAM_PIXEL_MEAN, SAM_PIXEL_STD, Preprocessing
from samzoo.runtime.prompts.tokens import BOX_TOP_LEFT, PADDING
from samzoo.training.encoders.table import encoder_network

from .graphs import MaskDecoderGraph
from .sam import Sam

TOOL_SIDE = 1024
"""Side of SAM's input, which is built into every tool."""


class ToolEncoder(nn.Module):
    """Maps ``(height, width, 3)`` RGB in 0..255, with a longest side of 1024, to embeddings.

    Intensities are stretched as the model declares, on the image that the tool has resized.
    """

    def __init__(self, sam: Sam, side: int = TOOL_SIDE, resized_side: int | None = None) -> None:
        """Prepare the encoder.

        Args:
            sam: The model.
            side: Longest side of the image that the tool feeds, in pixels.
            resized_side: Longest side after resizing for the model; its image size by default.
        """
        super().__init__()
        self.preprocess = sam.preprocess
        self.image_encoder = sam.image_encoder
        self.encoding = encoder_network(sam.config.architecture.image_encoder).encode
        self.preprocessing = sam.config.preprocessing
        self.image_size = sam.config.image_size
        self.side, self.resized_side = side, resized_side or self.image_size
        self.register_buffer("resampling", resampling_matrix(side, self.resized_side))
        self.resampling: Tensor

    def forward(self, input_image: Tensor) -> Tensor:
        """Return ``(1, 256, grid, grid)``."""
        return self.encode(input_image.permute(2, 0, 1)[None])

    def encode(self, x: Tensor) -> Tensor:
        """Encode ``(1, 3, height, width)`` in 0..255."""
        x = self.preprocess(self._resized(stretched(x, self.preprocessing)))
        return self.encoding(self.image_encoder, x)

    def _resized(self, x: Tensor) -> Tensor:
        """Resize as Pillow does, by the ratio of the sides; weights at the border sum to one."""
        if self.resized_side == self.side:
            return x
        height, width = x.shape[2], x.shape[3]
        rows, columns = self.resampling[:, :height], self.resampling[:, :width]
        resized = (rows @ x @ columns.T) / (rows.sum(1)[:, None] * columns.sum(1)).clamp(min=1e-6)
        ratio = self.resized_side / self.side
        kept_rows, kept_columns = (
            torch.floor(torch.as_tensor(size) * ratio + 0.5).to(torch.int64).clamp(min=1)
            for size in (height, width)
        )
        return resized[:, :, :kept_rows, :kept_columns]


class NormalisedToolEncoder(ToolEncoder):
    """Takes ``(1, 3, 1024, 1024)``, normalised with SAM's statistics and padded with zeros."""

    def __init__(self, sam: Sam) -> None:
        super().__init__(sam)
        given, sams = sam.config.preprocessing, Preprocessing()
        self.as_it_is = self.image_size == TOOL_SIDE and all(
            getattr(given, name) == getattr(sams, name)
            for name in ("intensity", "gamma", "pixel_mean", "pixel_std")
        )
        self.register_buffer("mean", torch.tensor(SAM_PIXEL_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(SAM_PIXEL_STD).view(1, 3, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(1, 256, grid, grid)``."""
        if self.as_it_is:
            return self.encoding(self.image_encoder, x)
        # The image ends where everything is exactly zero, because no 8-bit value equals SAM's
        # mean.
        inside = (x != 0).any(dim=1)[0].to(torch.int64)
        height = (inside.amax(dim=1) * torch.arange(1, TOOL_SIDE + 1)).amax()
        width = (inside.amax(dim=0) * torch.arange(1, TOOL_SIDE + 1)).amax()
        return self.encode((x * self.std + self.mean)[:, :, :height, :width])


class ToolDecoder(MaskDecoderGraph):
    """``MaskDecoderGraph`` with coordinates in 1024 pixels, one mask for an object, six inputs."""

    def __init__(self, sam: Sam) -> None:
        super().__init__(sam)
        self.scale = None  # tools bring the longest side to 1024
        self.ratio = sam.config.image_size / TOOL_SIDE

    def forward(  # type: ignore[override]
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode one object into ``masks``, ``iou_predictions`` and ``low_res_masks``."""
        coords, labels = with_needed_padding(point_coords * self.ratio, point_labels)
        return super().forward(
            image_embeddings, coords, labels, mask_input, has_mask_input, orig_im_size
        )


class CroppedDecoder(ToolDecoder):
    """CVAT's decoder: the mask as bytes, cropped to its box, whose corners are outputs too."""

    def forward(  # type: ignore[override]
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, ...]:
        """Decode one object.

        Returns:
            ``masks (1, 1, ybr - ytl + 1, xbr - xtl + 1)`` uint8, 255 in the object;
            ``iou_predictions``, ``low_res_masks``; the box's corners ``xtl``, ``ytl``, ``xbr``,
            ``ybr``, int64 without axes, both inside the box. An empty mask is one pixel, 0.
        """
        masks, iou, low_res = super().forward(
            image_embeddings, point_coords, point_labels, mask_input, has_mask_input, orig_im_size
        )
        inside = masks[0, 0] > 0
        xtl, xbr = _span(inside.any(dim=0))
        ytl, ybr = _span(inside.any(dim=1))
        cropped = inside[ytl : ybr + 1, xtl : xbr + 1][None, None]
        return cropped.to(torch.uint8) * 255, iou, low_res, xtl, ytl, xbr, ybr


def _span(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the last true position; 0 and 0 if there is none."""
    numbers = torch.arange(1, 1 + occupied.shape[0]) * occupied.to(torch.int64)
    last = (numbers.amax() - 1).clamp(min=0)
    backwards = torch.arange(occupied.shape[0]).flip(0) * occupied.to(torch.int64)
    first = (occupied.shape[0] - 1 - backwards.amax()) * occupied.any().to(torch.int64)
    return first, last


class HuggingFaceDecoder(MaskDecoderGraph):
    """transformers.js's decoder: three masks for a prompt, points with batch axes, logits.

    A box is two points with the labels 2 and 3. Without a box a padding point is added, as in
    ``SamModel``.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__(sam)
        self.ratio = sam.config.image_size / TOOL_SIDE
        self.register_buffer("one", torch.ones(1))
        self.one: Tensor

    def forward(  # type: ignore[override]
        self,
        input_points: Tensor,
        input_labels: Tensor,
        image_embeddings: Tensor,
        image_positional_embeddings: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Decode ``p`` objects on one image.

        Args:
            input_points: ``(1, p, k, 2)`` (x, y) in 1024 pixels.
            input_labels: ``(1, p, k)`` int64: 1, 0, 2 and 3 box corners, -1 and -10 padding.
            image_embeddings: ``(1, 256, grid, grid)``.
            image_positional_embeddings: Same shape, from the encoder's graph.

        Returns:
            ``iou_scores (1, p, 3)`` and ``pred_masks (1, p, 3, 4 * grid, 4 * grid)``.
        """
        labels = input_labels[0].to(torch.float32)
        labels = torch.where(labels < PADDING, torch.full_like(labels, float(PADDING)), labels)
        padding = torch.full_like(labels[:, :1], float(PADDING))
        boxes = (labels >= BOX_TOP_LEFT).any().to(torch.int64)
        labels = torch.cat([labels, padding[:, : 1 - boxes]], dim=1)
        points = F.pad(input_points[0], (0, 0, 0, 1))[:, : labels.shape[1]] * self.ratio
        # Without this use, the graph would not have the fourth input.
        embeddings = image_embeddings + 0 * image_positional_embeddings
        side = 4 * self.prompt_encoder.image_embedding_size[0]
        iou, logits = self.decode(
            embeddings, points, labels, torch.zeros(1, 1, side, side), 0 * self.one, self.one
        )
        return iou[None], logits[None]


class HuggingFaceEncoder(NormalisedToolEncoder):
    """transformers.js's encoder: embeddings, and the decoder's positional encoding."""

    def __init__(self, sam: Sam) -> None:
        super().__init__(sam)
        self.prompt_encoder = sam.prompt_encoder

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return ``image_embeddings`` and ``image_positional_embeddings``, of equal shape."""
        return super().forward(pixel_values), self.prompt_encoder.get_dense_pe()


def with_needed_padding(coords: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Pad the points of one object as in SAM's training: once, but not beside a box.

    Most tools pad boxes too, which moves the borders of masks a little.

    Args:
        coords: ``(1, k, 2)``.
        labels: ``(1, k)``; -1 is padding.

    Returns:
        Both without the tool's padding, and with one padding point if there is no box.
    """
    kept = torch.nonzero(labels[0] != PADDING).flatten()
    coords, labels = coords[:, kept], labels[:, kept]
    padding = 1 - (labels >= BOX_TOP_LEFT).any().to(torch.int64)
    labels = torch.cat([labels, torch.full((1, 1), float(PADDING))[:, :padding]], dim=1)
    return F.pad(coords, (0, 0, 0, 1))[:, : labels.shape[1]], labels


def stretched(x: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Stretch the intensities of an image in 0..255 as ``samzoo.runtime.images.intensity`` does.

    Args:
        x: ``(1, 3, height, width)``.
        preprocessing: The model's. ``none`` changes nothing, because a tool's images are 8-bit.
    """
    if preprocessing.intensity == "none":
        return x
    values = x.flatten()
    if preprocessing.intensity == "min_max":
        low, high = values.min(), values.max()
    else:
        below, above = preprocessing.percentiles
        low = -_from_the_top(-values, below)
        high = _from_the_top(values, 100.0 - above)
    return ((x - low) * (255.0 / (high - low).clamp(min=1e-6))).clamp(0.0, 255.0)


def _from_the_top(values: Tensor, percent: float) -> Tensor:
    """Return NumPy's linear percentile, counted from the largest value down."""
    count = torch.as_tensor(values.shape[0])
    position = (count - 1).to(torch.float64) * (percent / 100.0)
    below = torch.floor(position)
    wanted: Any = torch.minimum(below.to(torch.int64) + 2, count)
    largest = torch.topk(values, wanted).values
    weight = (position - below).to(values.dtype)
    return largest[below.to(torch.int64)] * (1.0 - weight) + largest[-1] * weight


def resampling_matrix(given: int, wanted: int) -> Tensor:
    """Return the weights of Pillow's bilinear filter: a triangle over the replaced pixels.

    Returns:
        ``(wanted, given)``; rows are not divided by their sums yet.

    Source:
        Pillow 12, ``src/libImaging/Resample.c``, ``precompute_coeffs``.
    """
    scale = given / wanted
    centers = (np.arange(wanted)[:, None] + 0.5) * scale
    distances = np.abs(np.arange(given) + 0.5 - centers) / max(scale, 1.0)
    return torch.from_numpy(np.maximum(0.0, 1.0 - distances).astype(np.float32))
