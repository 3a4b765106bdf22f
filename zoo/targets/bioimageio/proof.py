"""The proof that a zip means in bioimageio.core what it means here: it is run before it is kept.

In: a zip, and the network that it was made of. Out: nothing, or an error. Both weight formats must
give the test outputs. Where an image can be cut into blocks, one that is no multiple of the block
must come back whole, each block as the network computes it from intensities that samzoo stretched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.zoo.graphs.memory_release import return_freed_memory

from .tensors import Tensor, Value, fed

Weights = Literal["onnx", "torchscript"]
FORMATS: tuple[Weights, ...] = get_args(Weights)

WIDER = 3
"""The proof's image is wider than a block by the block's side divided by this (own choice)."""

TOLERANCE = 2e-3
"""Largest difference of maps in 0..1 and of scores; of logits, the fraction of the largest. Float32
in another order differs by up to 1e-4 through a ViT (own choice: twice the spec's default)."""

FLIPPED = 1e-3
"""Largest share of a binary mask's pixels that may differ: those whose logit is nearly zero."""


def prove(
    path: Path,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    preprocessing: Preprocessing,
    compute: Callable[[NDArray[np.float32]], Tensor],
) -> None:
    """Run a zip with bioimageio.core, and compare.

    Args:
        path: The zip.
        inputs: Its inputs; the first is the image.
        outputs: Its outputs.
        preprocessing: The model's.
        compute: The network: a tile with intensities in 0..255 to the first output. It is called
            only if the image is the one input.

    Raises:
        FormatError: The zip gives something else than the network.
    """
    from bioimageio.spec import load_model_description

    # Computed before there are sessions, since both take gigabytes for a ViT-B.
    blocks = _blocks(inputs[0].test, preprocessing, compute) if len(inputs) == 1 else None
    return_freed_memory()
    model = load_model_description(path)
    for weights in FORMATS:
        pipeline = _pipeline(model, weights)
        try:
            found = predicted(pipeline, model, {value.name: value.test for value in inputs})
            for value in outputs:
                _compare(path, f"{weights}: {value.name}", found[value.name], value.test)
            if blocks is not None and weights == FORMATS[0]:
                _prove_blocks(path, pipeline, model, inputs[0].name, blocks)
        finally:
            pipeline.close()
            del pipeline
            return_freed_memory()


def predicted(
    pipeline: Any, model: Any, inputs: Mapping[str, Tensor], *, in_blocks: bool = False
) -> dict[str, Tensor]:
    """Predict with bioimageio.core, and return the outputs as arrays by name."""
    from bioimageio.core.digest_spec import create_sample_for_model

    given = {name: np.array(value) for name, value in inputs.items()}  # it works in place
    sample = create_sample_for_model(model, inputs=given)
    run = pipeline.predict_sample_with_blocking if in_blocks else (
        pipeline.predict_sample_without_blocking
    )  # fmt: skip
    # Copies, since an output of onnxruntime keeps all memory of its session.
    return {str(name): np.array(value.to_numpy()) for name, value in run(sample).members.items()}


def _pipeline(model: Any, weights: Weights) -> Any:
    from bioimageio.core import create_prediction_pipeline

    import_onnxruntime()  # bioimageio.core would import it with its telemetry on
    return create_prediction_pipeline(model, weights_format=weights, devices=["cpu"])


class _Blocks(NamedTuple):
    """An image that is no multiple of a block, and what the network makes of its two blocks."""

    image: NDArray[np.float32]
    first: Tensor
    last: Tensor


def _blocks(
    image: Tensor,
    preprocessing: Preprocessing,
    compute: Callable[[NDArray[np.float32]], Tensor],
) -> _Blocks:
    side = image.shape[-1]
    wide = proof_image(image, preprocessing)
    stretched = fed(wide, preprocessing)
    last = compute(stretched[..., -side:])
    # The last block overwrites what it shares with the first.
    first = compute(stretched[..., :side])[..., : wide.shape[-1] - side]
    return _Blocks(wide, first, last)


def _prove_blocks(path: Path, pipeline: Any, model: Any, name: str, blocks: _Blocks) -> None:
    wide = blocks.image
    (found,) = predicted(pipeline, model, {name: wide}, in_blocks=True).values()
    if found.shape[-2:] != wide.shape[-2:]:
        raise FormatError(
            f"{path.name}: bioimageio.core made {found.shape[-2:]} of an image of "
            f"{wide.shape[-2:]}; please report this"
        )
    _compare(path, "last block", found[..., -blocks.last.shape[-1] :], blocks.last)
    _compare(path, "first block", found[..., : blocks.first.shape[-1]], blocks.first)


def proof_image(image: Tensor, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return an image that is wider than a block, and that repeats nowhere.

    Where the model stretches intensities, they are like those of 16 bits.
    """
    wide = np.concatenate([image, image[..., : image.shape[-1] // WIDER]], axis=-1)
    ramp = np.linspace(0.5, 1.0, wide.shape[-1], dtype=np.float32)
    factor, offset = (1, 0) if preprocessing.intensity == "none" else (40, 3000)
    return np.floor(wide * ramp * factor + offset).astype(np.float32)


def _compare(path: Path, what: str, found: Tensor, expected: Tensor) -> None:
    if expected.dtype == np.uint8:
        allowed, largest = FLIPPED, float((found != expected).mean())
    else:
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        largest = float(np.abs(found.astype(np.float64) - expected).max())
    if not largest <= allowed:  # NaN is not
        raise FormatError(
            f"{path.name}: {what} differs by {largest:.3g} in bioimageio.core, allowed is "
            f"{allowed:.3g}; please report this"
        )
