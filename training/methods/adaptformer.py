"""AdaptFormer: a bottleneck beside the MLP of a block.

``mlp(x) <- mlp(x) + x + alpha * up(ReLU(down(x)))``, where x is the output of the block's second
LayerNorm, ``down (projection, width)`` and ``up (width, projection)`` have biases, and alpha is one
number. Because of the ReLU between the two, the bottleneck does not fold into the MLP's weights. A
merged model keeps the tensors, and its config says so (``AdaptFormerConfig``).

Source: Chen et al., AdaptFormer (NeurIPS 2022); micro-sam 1.8.14, ``models/peft_sam.py``,
``AdaptFormer``. The ``+ x`` is in that code, not in the paper: the block has a residual of its
own, so x is added a second time and training starts away from the base. ``init: identity`` leaves
it out. ``down`` starts Kaiming-uniform, ``up`` and both biases at zero, alpha at 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.families.encoder import AdaptFormerConfig, EncoderConfig
from samzoo.runtime.formats.fields import check_types
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX

from .blocks import Blocks, block_names, check_blocks, chosen_blocks
from .checks import SECTION, Init, check_dropout, check_size
from .layers import Shapes, block_layers

if TYPE_CHECKING:
    from torch import Tensor, nn

ALPHA = "adaptformer_alpha"
WEIGHTS = tuple(
    f"adaptformer_{linear}.{kind}" for linear in ("down", "up") for kind in ("weight", "bias")
)


@dataclass(frozen=True, kw_only=True)
class AdaptFormerSettings:
    """Settings of AdaptFormer. Defaults: PEFT-SAM's released code.

    Attributes:
        projection: Width of the bottleneck.
        alpha: A fixed number, or ``learned``.
        dropout: Probability of dropout after the ReLU, in training steps only.
        init: ``identity`` leaves out the additional residual.
        blocks: See ``blocks.py``.
    """

    projection: int = 64
    alpha: Literal["learned"] | float = "learned"
    dropout: float = 0.0
    init: Init = "reference"
    blocks: Blocks = None

    def __post_init__(self) -> None:
        check_types(self, where=SECTION)
        check_size("projection", self.projection)
        check_dropout(self.dropout)
        check_blocks(self.blocks)


def extended(architecture: Architecture, settings: AdaptFormerSettings) -> Architecture:
    """Describe the network with the bypasses.

    Raises:
        FormatError: The network has bypasses already.
    """
    encoder = architecture.image_encoder
    if encoder.adaptformer is not None:
        raise FormatError(
            "the base's image encoder has AdaptFormer bypasses already; finetune it with another "
            "method, or start from a base without them"
        )
    config = AdaptFormerConfig(
        projection=settings.projection,
        blocks=tuple(chosen_blocks(encoder, settings.blocks)),
        identity=settings.init == "identity",
    )
    return dataclasses.replace(architecture, image_encoder=encoder.replaced(adaptformer=config))


def trainable(
    shapes: Shapes, architecture: Architecture, settings: AdaptFormerSettings
) -> dict[str, tuple[int, ...]]:
    """List the bypasses' trainable tensors by name with their shapes; a fixed alpha is not one."""
    tensors = _tensors(shapes, architecture, settings)
    if settings.alpha == "learned":
        return tensors
    return {name: shape for name, shape in tensors.items() if not name.endswith(ALPHA)}


def attach(encoder: nn.Module, architecture: Architecture, settings: AdaptFormerSettings) -> None:
    """Freeze the encoder and give the MLPs of its blocks trainable bypasses."""
    from torch import nn

    encoder.requires_grad_(False)
    after = extended(architecture, settings).image_encoder
    add_bypasses(encoder, after)
    names = block_names(after)
    for block in chosen_blocks(after, settings.blocks):
        mlp: Any = encoder.get_submodule(f"{names[block]}.mlp")
        if settings.alpha != "learned":
            mlp.adaptformer_alpha.requires_grad_(False)
            nn.init.constant_(mlp.adaptformer_alpha, settings.alpha)
        if settings.dropout:
            mlp.adaptformer_dropout = nn.Dropout(settings.dropout).eval()


def add_bypasses(encoder: nn.Module, config: EncoderConfig) -> None:
    """Build the bypasses that a config describes, untrained.

    Args:
        encoder: A ViT or TinyViT without them.
        config: Its config; nothing happens if ``adaptformer`` is None.
    """
    import torch
    from torch import nn

    bypasses = config.adaptformer
    if bypasses is None:
        return
    names, layers = block_names(config), block_layers(config)
    for block in bypasses.blocks:
        mlp: Any = encoder.get_submodule(f"{names[block]}.mlp")
        linear: Any = encoder.get_submodule(f"{names[block]}.{layers['lin1']}")
        width, device = linear.in_features, linear.weight.device
        mlp.adaptformer_down = nn.Linear(width, bypasses.projection, device=device)
        mlp.adaptformer_up = nn.Linear(bypasses.projection, width, device=device)
        mlp.adaptformer_alpha = nn.Parameter(torch.ones(1, device=device))
        nn.init.kaiming_uniform_(mlp.adaptformer_down.weight, a=5**0.5)
        for value in (
            mlp.adaptformer_down.bias, mlp.adaptformer_up.weight, mlp.adaptformer_up.bias,
        ):  # fmt: skip
            nn.init.zeros_(value)
        mlp.register_forward_hook(partial(_add_bypass, residual=not bypasses.identity))


def _add_bypass(mlp: Any, inputs: tuple[Tensor, ...], output: Tensor, *, residual: bool) -> Tensor:
    import torch.nn.functional as F

    # TinyViT's MLP starts with its LayerNorm; segment-anything's gets an input that is normed.
    x = mlp.norm(inputs[0]) if hasattr(mlp, "norm") else inputs[0]
    hidden = F.relu(mlp.adaptformer_down(x))
    if hasattr(mlp, "adaptformer_dropout"):
        hidden = mlp.adaptformer_dropout(hidden)
    result: Tensor = output + mlp.adaptformer_alpha * mlp.adaptformer_up(hidden)
    if residual:
        result = result + x
    return result.to(output.dtype)  # the dtype under autocast, as without the bypass


def keep(
    base: Mapping[str, NDArray[Any]],
    delta: Mapping[str, NDArray[Any]],
    architecture: Architecture,
    settings: AdaptFormerSettings,
) -> Tensors:
    """Check the bypasses' tensors and return them unchanged: a merged model's extra weights.

    The method has this function in place of a ``fold``.

    Args:
        base: Encoder weights by full SAM names.
        delta: ``<block>.mlp.adaptformer_down.weight`` and so on, with full names.
        architecture: The merged model's networks, which must include these bypasses.
        settings: The method's settings.

    Raises:
        FormatError: A tensor is missing, unknown or of another shape, or the architecture
            describes other bypasses.
    """
    found = architecture.image_encoder.adaptformer
    encoder = architecture.image_encoder.replaced(adaptformer=None)
    plain = dataclasses.replace(architecture, image_encoder=encoder)
    if found is None or found != extended(plain, settings).image_encoder.adaptformer:
        raise FormatError(
            f"architecture.image_encoder.adaptformer: found {shown(found)}, which are not the "
            "bypasses that the adapter's hyperparameters describe"
        )
    names, layers = block_names(encoder), block_layers(encoder)
    shapes: dict[str, tuple[int, ...]] = {}
    for block in found.blocks:  # only the widths of the base are read
        name = f"{names[block]}.{layers['lin1']}.weight"
        if f"{ENCODER_PREFIX}{name}" not in base:
            raise FormatError(
                f"the base lacks {shown(ENCODER_PREFIX + name)}, which a bypass needs"
            )
        shapes[name] = base[f"{ENCODER_PREFIX}{name}"].shape
    tensors = _tensors(shapes, plain, settings)
    expected = {f"{ENCODER_PREFIX}{name}": shape for name, shape in tensors.items()}
    for name in [*expected, *delta]:
        have = delta[name].shape if name in delta else "nothing"
        want = expected.get(name, "nothing")
        if have != want:
            raise FormatError(f"adapter tensor {shown(name)}: expected {want}, found {have}")
    return dict(delta)


def _tensors(
    shapes: Shapes, architecture: Architecture, settings: AdaptFormerSettings
) -> dict[str, tuple[int, ...]]:
    config, size = architecture.image_encoder, settings.projection
    names, layers = block_names(config), block_layers(config)
    tensors: dict[str, tuple[int, ...]] = {}
    for block in chosen_blocks(config, settings.blocks):
        width = shapes[f"{names[block]}.{layers['lin1']}.weight"][1]
        sizes = ((size, width), (size,), (width, size), (width,))
        for name, shape in zip((*WEIGHTS, ALPHA), (*sizes, (1,)), strict=True):
            tensors[f"{names[block]}.mlp.{name}"] = shape
    return tensors
