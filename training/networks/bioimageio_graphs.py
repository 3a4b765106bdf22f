"""The two models of a BioImage.IO package, as torch modules of fixed shape that do everything.

In: a ``Sam``. Out: one module from an image of a fixed size to AIS maps, and one from an image and
prompts to a mask, which are exported as ONNX and TorchScript. BioImage.IO has no operation that
resizes, so the modules resize the image, as the runtime does. It has operations that stretch
intensities, over the whole image, so the modules do not stretch them.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.images.geometry import field_of_view, input_size
from samzoo.training.encoders.table import encoder_network

from .graphs import MaskDecoderGraph
from .sam import Sam
from .tool_graphs import with_needed_padding


def image_side(sam: Sam) -> int:
    """Return the side, in image pixels, of the square that the modules take."""
    return field_of_view(sam.config.image_size, sam.config.preprocessing.scale)


def resized_side(sam: Sam) -> int:
    """Return the side of that square in model pixels."""
    side = image_side(sam)
    return input_size((side, side), sam.config.image_size, sam.config.preprocessing.scale)[0]


PRECISION_BITS = 22
"""Bits of Pillow's weights for images of 8 bits. Source: Pillow 12, ``Resample.c``."""


def resampling_weights(given: int, wanted: int, *, fixed_point: bool) -> NDArray[np.floating]:
    """Return the weights of Pillow's bilinear filter: a triangle over the replaced pixels.

    Args:
        given: Length in pixels.
        wanted: Length after resizing.
        fixed_point: Return the weights for images of 8 bits, else those for float images.

    Returns:
        ``(wanted, given)``, each row with the sum 1: float64 in fixed point, else float32.

    Source:
        Pillow 12, ``src/libImaging/Resample.c``, ``precompute_coeffs``, ``normalize_coeffs_8bpc``.
    """
    scale = given / wanted
    centers = (np.arange(wanted)[:, None] + 0.5) * scale
    distances = np.abs(np.arange(given) + 0.5 - centers) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distances)
    weights /= weights.sum(1, keepdims=True)
    if not fixed_point:
        return weights.astype(np.float32)
    one = 1 << PRECISION_BITS
    result: NDArray[np.floating] = np.floor(weights * one + 0.5) / one
    return result


class TileEncoder(nn.Module):
    """Maps one tile, ``(1, 3, side, side)`` in 0..255, to ``(1, 256, grid, grid)``.

    It resizes as Pillow does. Images that a model takes unstretched have 8 bits. Pillow resizes
    such images with weights of 22 bits, and rounds after each direction; so does this module, in
    float64, which holds these numbers exactly.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.side, self.kept, self.grid = image_side(sam), resized_side(sam), sam.config.grid
        self.rounds = sam.config.preprocessing.intensity == "none"
        self.preprocess = sam.preprocess
        self.image_encoder = sam.image_encoder
        self.encoding = encoder_network(sam.config.architecture.image_encoder).encode
        weights = resampling_weights(self.side, self.kept, fixed_point=self.rounds)
        self.register_buffer("resampling", torch.from_numpy(weights))
        self.resampling: Tensor

    def forward(self, image: Tensor) -> Tensor:
        """Encode a tile; a tile of another size is an error, also after tracing."""
        x = image.expand(1, 3, self.side, self.side)
        if self.kept != self.side:
            x = self._rounded(x.to(self.resampling.dtype) @ self.resampling.T)
            x = self._rounded(self.resampling @ x).to(torch.float32)
        embeddings = self.encoding(self.image_encoder, self.preprocess(x))
        # The shape is given in numbers, because the exporter loses it when the image is resized.
        return embeddings.reshape(1, EMBEDDING_CHANNELS, self.grid, self.grid)

    def _rounded(self, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5) if self.rounds else x


class AisPackage(nn.Module):
    """Maps ``image (1, 3, side, side)`` in 0..255 to ``ais_maps (1, 3, side, side)``."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.side, self.kept = image_side(sam), resized_side(sam)
        self.image_size = sam.config.image_size
        self.encoder = TileEncoder(sam)
        self.ais_decoder = sam.ais_decoder

    def forward(self, image: Tensor) -> Tensor:
        """Return the maps in the order of ``AIS_CHANNELS``."""
        return self.decode(self.encoder(image))

    def decode(self, embeddings: Tensor) -> Tensor:
        """Do the part after the encoder."""
        if self.ais_decoder is None:
            raise ValueError("this model has no AIS decoder")
        maps = self.ais_decoder(embeddings)
        maps = _resized(maps, self.image_size)[:, :, : self.kept, : self.kept]
        return _resized(maps, self.side)


class PromptPackage(nn.Module):
    """Maps an image and the prompts of one object to the object's mask."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.side = image_side(sam)
        self.encoder = TileEncoder(sam)
        self.decoder = MaskDecoderGraph(sam)
        self.ratio = resized_side(sam) / self.side
        self.register_buffer("size", torch.tensor([float(self.side)] * 2))
        self.size: Tensor

    def forward(
        self,
        image: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Segment one object.

        Args:
            image: ``(1, 3, side, side)`` in 0..255.
            point_coords: ``(1, k, 2)`` (x, y) in image pixels.
            point_labels: ``(1, k)``: 1, 0, -1 padding, 2 and 3 box corners.
            mask_input: ``(1, 1, 4 * grid, 4 * grid)`` earlier logits.
            has_mask_input: ``(1,)``: 1 if ``mask_input`` counts.

        Returns:
            ``masks (1, 1, side, side)`` logits, ``iou_predictions (1, 1)`` and ``low_res_masks``.
        """
        return self.decode(
            self.encoder(image), point_coords, point_labels, mask_input, has_mask_input
        )

    def decode(
        self,
        embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Do the part after the encoder."""
        coords, labels = with_needed_padding(point_coords * self.ratio, point_labels)
        masks, iou, low_res = self.decoder(
            embeddings, coords, labels, mask_input, has_mask_input, self.size
        )
        return masks, iou, low_res


def _resized(maps: Tensor, side: int) -> Tensor:
    if maps.shape[-1] == side and maps.shape[-2] == side:
        return maps
    return F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)
