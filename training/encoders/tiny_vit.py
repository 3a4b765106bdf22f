"""TinyViT, the small image encoder of MobileSAM and LiteMedSAM, built from the config's numbers.

In: preprocessed images ``(n, 3, image_size, image_size)``. Out: image embeddings ``(n, 256, grid,
grid)``. Parameter names are those of the published checkpoints.

Source: Wu et al., TinyViT (ECCV 2022); Zhang et al., MobileSAM (2023), whose stem has two 3x3
convolutions of stride 2; LiteMedSAM (Ma et al., 2024), whose stem has two 1x1 convolutions.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig

from .attention import attend_with_bias
from .steps import EncoderStep, run_steps, step_of


class ConvNorm(nn.Sequential):
    """A convolution without bias and a BatchNorm, under the checkpoint's names ``c`` and ``bn``."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        convolution = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.add_module("c", convolution)
        self.add_module("bn", nn.BatchNorm2d(outputs))


class MBConv(nn.Module):
    """An inverted bottleneck with a residual, the block of the first stage."""

    def __init__(self, channels: int, expand_ratio: float) -> None:
        super().__init__()
        hidden = int(channels * expand_ratio)
        self.conv1 = ConvNorm(channels, hidden)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, channels, h, w)`` to the same shape."""
        y = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(x + self.conv3(y))


class PatchMerging(nn.Module):
    """Changes the number of channels and, with stride 2, halves the grid."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride=stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, h / stride, w / stride)``."""
        result: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return result


class Attention(nn.Module):
    """Self-attention in a window, with a learned bias for each head and absolute offset.

    The rows of ``qkv`` are interleaved by head: ``[q k v]`` of head 0, then of head 1, and so on.
    In segment-anything's ViT all q come first, then all k, then all v.
    """

    attention_bias_idxs: Tensor

    def __init__(self, dim: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        points = list(product(range(window_size), repeat=2))
        offsets: dict[tuple[int, int], int] = {}
        index = [
            offsets.setdefault((abs(a[0] - b[0]), abs(a[1] - b[1])), len(offsets))
            for a in points
            for b in points
        ]
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, len(offsets)))
        self.register_buffer(
            "attention_bias_idxs",
            torch.tensor(index).view(len(points), len(points)),
            persistent=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(windows, tokens, dim)`` to the same shape."""
        windows, tokens, dim = x.shape
        qkv = self.qkv(self.norm(x)).view(windows, tokens, self.num_heads, -1)
        q, k, v = qkv.transpose(1, 2).chunk(3, dim=-1)
        bias = self.attention_biases[:, self.attention_bias_idxs]
        if bias.requires_grad:  # never while a graph is traced
            # Torch's own attention keeps all scores if the bias trains.
            q, k, v = (part.flatten(0, 1) for part in (q, k, v))
            y = attend_with_bias(q, k, v, bias, scale=q.shape[-1] ** -0.5)
            y = y.view(windows, self.num_heads, *y.shape[1:])
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        result: Tensor = self.proj(y.transpose(1, 2).reshape(windows, tokens, dim))
        return result


class Mlp(nn.Module):
    """LayerNorm and two linear layers."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., dim)`` to the same shape."""
        result: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return result


class TinyVitBlock(nn.Module):
    """Window attention, a depthwise convolution and an MLP; the first and last have residuals."""

    def __init__(self, dim: int, num_heads: int, window_size: int, mlp_ratio: float) -> None:
        super().__init__()
        self.window_size = window_size
        self.attn = Attention(dim, num_heads, window_size)
        self.local_conv = ConvNorm(dim, dim, 3, groups=dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, dim, h, w)`` to the same shape."""
        x = x.permute(0, 2, 3, 1)
        x = x + self._windowed_attention(x)
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.mlp(x)
        return x.permute(0, 3, 1, 2)

    def _windowed_attention(self, x: Tensor) -> Tensor:
        n, height, width, dim = x.shape
        side = self.window_size
        if height == side and width == side:
            return self._attend(x.reshape(n, side * side, dim)).view(n, side, side, dim)
        # Zeros are padded before the LayerNorm, which turns them into its bias. So padded tokens
        # take part in the attention; the published weights were trained with that.
        pad_bottom, pad_right = -height % side, -width % side
        x = F.pad(x, (0, 0, 0, pad_right, 0, pad_bottom))
        rows, columns = (height + pad_bottom) // side, (width + pad_right) // side
        x = x.view(n, rows, side, columns, side, dim).transpose(2, 3)
        x = self._attend(x.reshape(n * rows * columns, side * side, dim))
        x = x.view(n, rows, columns, side, side, dim).transpose(2, 3)
        return x.reshape(n, rows * side, columns * side, dim)[:, :height, :width]

    def _attend(self, x: Tensor) -> Tensor:
        result: Tensor = self.attn(x)
        return result


class Stage(nn.Module):
    """A stage: blocks, and the patch merging that leads to the next one; the encoder runs them."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample


class PatchEmbed(nn.Module):
    """The stem: two convolutions."""

    def __init__(self, dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(3, dim // 2, kernel, stride=stride),
            nn.GELU(),
            ConvNorm(dim // 2, dim, kernel, stride=stride),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, s, s)`` to ``(n, dim, s / stride**2, s / stride**2)``."""
        result: Tensor = self.seq(x)
        return result


class TinyVit(nn.Module):
    """The whole TinyViT encoder."""

    def __init__(self, config: TinyVitConfig) -> None:
        super().__init__()
        dims = config.embed_dims
        self.patch_embed = PatchEmbed(dims[0], config.patch_kernel, config.patch_stride)
        stages = []
        for i, dim in enumerate(dims):
            blocks: list[nn.Module] = [
                MBConv(dim, config.mbconv_expand_ratio)
                if i == 0
                else TinyVitBlock(
                    dim, config.num_heads[i], config.window_sizes[i], config.mlp_ratio
                )
                for _ in range(config.depths[i])
            ]
            last = i == len(dims) - 1
            merging = None if last else PatchMerging(dim, dims[i + 1], config.strides[i])
            stages.append(Stage(blocks, merging))
        self.layers = nn.ModuleList(stages)
        self.neck = nn.Sequential(
            nn.Conv2d(dims[-1], EMBEDDING_CHANNELS, 1, bias=False),
            LayerNorm2d(EMBEDDING_CHANNELS),
            nn.Conv2d(EMBEDDING_CHANNELS, EMBEDDING_CHANNELS, 3, padding=1, bias=False),
            LayerNorm2d(EMBEDDING_CHANNELS),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, image_size, image_size)`` to embeddings ``(n, 256, grid, grid)``."""
        return run_steps(self.steps(), x)

    def steps(self) -> list[EncoderStep]:
        """Cut the encoder into stem, blocks with the patch merging between them, and neck."""
        parts: list[nn.Module] = [self.patch_embed]
        stages: Any = self.layers
        for stage in stages:
            parts += [*stage.blocks, *([] if stage.downsample is None else [stage.downsample])]
        return [step_of(part, part) for part in [*parts, self.neck]]
