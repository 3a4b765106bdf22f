"""micro-sam's AIS decoder: image embeddings in, the three AIS maps at 16 times the grid out.

The tensors have torch-em's names, so that its decoders load unchanged. Both ways of upsampling and
both modes of BatchNorm are supported.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samzoo.runtime.formats.architecture import AIS_CHANNELS, EMBEDDING_CHANNELS, UnetrDecoderConfig


class UnetrDecoder(nn.Module):
    """Two paths up from the embeddings, joined at every level.

    One path (``deconv1`` to ``deconv4``) doubles the side four times, each with a convolution, a
    BatchNorm and a ReLU. The other starts with two convolutions (``base``) and takes in the maps
    of the first path at 2x, 4x and 8x (``decoder``) and at 16x (``decoder_head``).

    Source: torch-em 0.10.9, ``model/unetr.py``, ``UNETR`` with ``use_skip_connection=False`` and a
    sigmoid.
    """

    def __init__(self, config: UnetrDecoderConfig) -> None:
        super().__init__()
        first, second, third, last = config.features
        self.base = _ConvBlock(EMBEDDING_CHANNELS, first)
        self.deconv1 = _Deconv(EMBEDDING_CHANNELS, first, config)
        self.deconv2 = _Deconv(first, second, config)
        self.deconv3 = _Deconv(second, third, config)
        self.deconv4 = _Deconv(third, last, config)
        self.decoder = _Levels(config)
        self.deconv_out = _sampler(last, last, config)
        self.decoder_head = _ConvBlock(2 * last, last)
        self.out_conv = nn.Conv2d(last, len(AIS_CHANNELS), 1)

    def forward(self, image_embeddings: Tensor) -> Tensor:
        """Predict the AIS maps.

        Args:
            image_embeddings: ``(n, 256, grid, grid)`` float32.

        Returns:
            ``(n, 3, 16 * grid, 16 * grid)`` in 0..1, channels in the order of ``AIS_CHANNELS``.
        """
        at2 = self.deconv1(image_embeddings)
        at4 = self.deconv2(at2)
        at8 = self.deconv3(at4)
        at16 = self.deconv4(at8)
        x = self.decoder(self.base(image_embeddings), [at2, at4, at8])
        x = self.decoder_head(self.deconv_out(x), at16)
        return torch.sigmoid(self.out_conv(x))


class _Levels(nn.Module):
    """Three levels: each doubles the side, appends the other path's map, and convolves twice."""

    def __init__(self, config: UnetrDecoderConfig) -> None:
        super().__init__()
        pairs = list(pairwise(config.features))
        self.blocks = nn.ModuleList(_ConvBlock(2 * outputs, outputs) for _, outputs in pairs)
        self.samplers = nn.ModuleList(
            _sampler(inputs, outputs, config) for inputs, outputs in pairs
        )

    def forward(self, x: Tensor, others: list[Tensor]) -> Tensor:
        for block, sampler, other in zip(self.blocks, self.samplers, others, strict=True):
            x = sampler(x)
            x = block(x, _central_channels(other, x.shape[1]))
        return x


def _central_channels(x: Tensor, count: int) -> Tensor:
    """Take the channels in the middle; the first and the last quarter are not used.

    torch-em's decoder crops the map that it appends to the shape of its own map, along the
    channels too. The published weights were trained with that (torch-em 0.10.9, ``model/unet.py``,
    ``Decoder._crop``).
    """
    start = (x.shape[1] - count) // 2
    return x[:, start : start + count]


class _ConvBlock(nn.Module):
    """InstanceNorm, convolution and ReLU, twice; the norms have no weights.

    torch-em concatenates several maps along the channels before the first norm; here they stay
    apart. A norm uses one channel and a convolution sums over channels, so each map can have its
    own share of the weights. At the largest size that saves a copy of 0.5 GB, and its normed copy.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.InstanceNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.InstanceNorm2d(outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, *maps: Tensor) -> Tensor:
        norm: Any = self.block[0]
        first: Any = self.block[1]
        shares = first.weight.split([x.shape[1] for x in maps], dim=1)
        bias: Tensor | None = first.bias
        result: Tensor | None = None
        for x, weight in zip(maps, shares, strict=True):
            part = F.conv2d(F.instance_norm(x, eps=norm.eps), weight, bias, padding=1)
            result, bias = part if result is None else result + part, None
        rest: Tensor = self.block[2:](result)
        return rest


class _Deconv(nn.Module):
    """Doubles the side, then convolution, BatchNorm and ReLU."""

    def __init__(self, inputs: int, outputs: int, config: UnetrDecoderConfig) -> None:
        super().__init__()
        self.block = nn.Sequential(
            _sampler(inputs, outputs, config),
            _Convolution(outputs),
            _BatchNorm(outputs, of_batch=config.batch_norm == "batch"),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class _Convolution(nn.Module):
    """A 3x3 convolution under the name that torch-em gives it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class _BatchNorm(nn.BatchNorm2d):
    """BatchNorm with stored statistics, or with the input's statistics in every mode."""

    def __init__(self, channels: int, *, of_batch: bool) -> None:
        super().__init__(channels)
        self.of_batch = of_batch

    def forward(self, input: Tensor) -> Tensor:
        if not self.of_batch:
            return super().forward(input)
        # Written out, because ONNX's BatchNormalization for inference cannot use input statistics.
        mean = input.mean((0, 2, 3), keepdim=True)
        centered = input - mean
        variance = (centered * centered).mean((0, 2, 3), keepdim=True)
        normal = centered / torch.sqrt(variance + self.eps)
        return normal * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class _Transposed(nn.Module):
    """Doubles the side with a transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class _Bilinear(nn.Module):
    """Mixes the channels, then doubles the side by interpolation.

    torch-em does this in the other order, with the same result and four times the work: an
    interpolation's weights sum to 1, so they do not change the bias.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.conv(x)
        return F.interpolate(mixed, scale_factor=2.0, mode="bilinear", align_corners=False)


def _sampler(inputs: int, outputs: int, config: UnetrDecoderConfig) -> nn.Module:
    if config.upsampling == "transposed":
        return _Transposed(inputs, outputs)
    return _Bilinear(inputs, outputs)
