"""The two models of a BioImage.IO package, as torch modules of fixed shape that do everything.

In: a ``Sam``. Out: one module from an image of a fixed size to AIS maps, and one from an image and
prompts to a mask, which are exported as ONNX and TorchScript. BioImage.IO has no operation that
resizes, so the modules resize the image, as the runtime does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.images.geometry import field_of_view, input_size

from .graphs import MaskDecoderGraph
from .sam import Sam
from .tool_graphs import ToolEncoder, with_needed_padding


def image_side(sam: Sam) -> int:
    """Return the side, in image pixels, of the square that the modules take."""
    return field_of_view(sam.config.image_size, sam.config.preprocessing.scale)


def resized_side(sam: Sam) -> int:
    """Return the side of that square in model pixels."""
    side = image_side(sam)
    return input_size((side, side), sam.config.image_size, sam.config.preprocessing.scale)[0]


class AisPackage(nn.Module):
    """Maps ``image (1, 3, side, side)`` in 0..255 to ``ais_maps (1, 3, side, side)``."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.side, self.kept = image_side(sam), resized_side(sam)
        self.image_size, self.grid = sam.config.image_size, sam.config.grid
        self.encoder = ToolEncoder(sam, self.side, self.kept)
        self.ais_decoder = sam.ais_decoder

    def forward(self, image: Tensor) -> Tensor:
        """Return the maps in the order of ``AIS_CHANNELS``."""
        if self.ais_decoder is None:
            raise ValueError("this model has no AIS decoder")
        # The shape is given in numbers, because the exporter loses it when the image is resized.
        embeddings = self.encoder.encode(image).reshape(1, EMBEDDING_CHANNELS, self.grid, self.grid)
        maps = self.ais_decoder(embeddings)
        maps = _resized(maps, self.image_size)[:, :, : self.kept, : self.kept]
        return _resized(maps, self.side)


class PromptPackage(nn.Module):
    """Maps an image and the prompts of one object to the object's mask."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.side = image_side(sam)
        kept = resized_side(sam)
        self.encoder = ToolEncoder(sam, self.side, kept)
        self.decoder = MaskDecoderGraph(sam)
        self.ratio = kept / self.side
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
        coords, labels = with_needed_padding(point_coords * self.ratio, point_labels)
        masks, iou, low_res = self.decoder(
            self.encoder.encode(image), coords, labels, mask_input, has_mask_input, self.size
        )
        return masks, iou, low_res


def _resized(maps: Tensor, side: int) -> Tensor:
    if maps.shape[-1] == side and maps.shape[-2] == side:
        return maps
    return F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)
