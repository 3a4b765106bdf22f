"""The tensors of layers that many networks have, with their shapes.

In: a layer's name and sizes. Out: shapes by name.
"""

from __future__ import annotations

from .encoder import EncoderConfig

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

BATCH_NORM_COUNTER = "num_batches_tracked"
"""The name of BatchNorm's counter, the only integer among a model's tensors."""


def under(prefix: str, shapes: Shapes) -> Shapes:
    """Put a module's name before the names of its tensors."""
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def layer(name: str, *weight: int, outputs: int | None = None) -> Shapes:
    """List a linear layer, convolution or norm: its weight, and a bias for each output."""
    return {
        f"{name}.weight": weight,
        f"{name}.bias": (weight[0] if outputs is None else outputs,),
    }


def batch_norm(name: str, channels: int) -> Shapes:
    """List a BatchNorm: its parameters and statistics."""
    return {
        **layer(name, channels),
        f"{name}.running_mean": (channels,),
        f"{name}.running_var": (channels,),
        f"{name}.{BATCH_NORM_COUNTER}": (),
    }


def bypass(block: int, dim: int, config: EncoderConfig) -> Shapes:
    """List the AdaptFormer tensors of a block, if it has any; it is counted as they count."""
    if config.adaptformer is None or block not in config.adaptformer.blocks:
        return {}
    projection = config.adaptformer.projection
    return {
        "mlp.adaptformer_alpha": (1,),
        **layer("mlp.adaptformer_down", projection, dim),
        **layer("mlp.adaptformer_up", dim, projection),
    }
