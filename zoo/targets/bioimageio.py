"""BioImage.IO packages, spec 0.5: one for automatic segmentation, one for prompts.

Both hold ONNX and TorchScript of the same fixed shapes, since bioimageio.core's ONNX adapter does
not support optional inputs and binds tensors by position. Post-processing parameters are in
``config.samzoo`` under the names of the operation ``microsam_watershed``, which the spec does not
have yet.

Source: bioimageio.spec 0.5.12, ``model/v0_5.py``; its pull request 768.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import require
from samzoo.runtime.formats.config import ModelConfig
from samzoo.zoo.graphs.tracing import OPSET
from samzoo.zoo.packages.self_test import picture
from samzoo.zoo.packages.target import Source, Target

from .bioimageio_texts import describe_model, quiet_spec, spec
from .sam_sizes import bottlenecks
from .tool_export import Graph, make_sam, write_graph

if TYPE_CHECKING:
    from torch import nn

POINTS = 8
"""Number of points that the prompt package takes; unused ones have the label -1."""


class Value(NamedTuple):
    """An input or output: its name, description, axes, and a test value."""

    name: str
    description: str
    axes: Sequence[Any]
    test: NDArray[np.float32]


def refusal(config: ModelConfig) -> str:
    """Refuse no model: each has a prompt package, and one with an AIS decoder has both."""
    return bottlenecks(config)


def write(folder: Path, source: Source) -> None:
    """Write ``NAME-prompts.zip``, and ``NAME-ais.zip`` where the model has an AIS decoder."""
    require("bioimageio.spec", extra="bioimageio")
    from samzoo.training.networks.bioimageio_graphs import AisPackage, PromptPackage, image_side

    sam = make_sam(source)
    side = image_side(sam)
    name = source.manifest.name
    image = test_image(side)
    if source.config.architecture.ais_decoder is not None:
        write_package(
            folder / f"{name}-ais.zip", AisPackage(sam), [image_value(image)],
            lambda found: [ais_value(found[0])], source, "automatic segmentation",
        )  # fmt: skip
    write_package(
        folder / f"{name}-prompts.zip", PromptPackage(sam),
        [image_value(image), *prompt_values(side, source.config.mask_side)],
        mask_values, source, "prompts",
    )  # fmt: skip


def test_image(side: int) -> NDArray[np.float32]:
    """Return the package's own test picture, repeated, as ``(1, 3, side, side)`` in 0..255."""
    tile = picture()
    repeats = [-(-side // length) for length in tile.shape]
    grey = np.tile(tile, repeats)[:side, :side].astype(np.float32)
    return np.ascontiguousarray(np.stack([grey] * 3)[None])


def image_value(image: NDArray[np.float32]) -> Value:
    """Describe the image, the input of both packages."""
    v0_5 = spec()
    side = image.shape[-1]
    axes = [
        v0_5.BatchAxis(size=1),
        v0_5.ChannelAxis(channel_names=["red", "green", "blue"]),
        v0_5.SpaceInputAxis(id="y", size=side),
        v0_5.SpaceInputAxis(id="x", size=side),
    ]
    text = (
        "RGB in 0..255; repeat a grey image. Intensities are stretched inside as the model needs."
    )
    return Value("image", text, axes, image)


def prompt_values(side: int, mask_side: int) -> list[Value]:
    """Describe the inputs for one object's prompts.

    The test values include a mask input, since the spec allows no test value of zeros alone. Users
    without a mask input give zeros.
    """
    v0_5 = spec()
    coords = np.zeros((1, POINTS, 2), np.float32)
    labels = np.full((1, POINTS), -1, np.float32)
    coords[0, 0], labels[0, 0] = (side * 0.3, side * 0.3), 1
    points = v0_5.IndexInputAxis(size=POINTS)
    y, x = np.mgrid[:mask_side, :mask_side]
    inside = (y - 0.3 * mask_side) ** 2 + (x - 0.3 * mask_side) ** 2 < (0.1 * mask_side) ** 2
    logits = np.where(inside, 4.0, -4.0).astype(np.float32)
    return [
        Value(
            "point_coords", "(x, y) in image pixels; zeros where the label is -1",
            [v0_5.BatchAxis(size=1), points, v0_5.ChannelAxis(channel_names=["x", "y"])], coords,
        ),
        Value(
            "point_labels",
            "1 object, 0 background, -1 no point, 2 and 3 a box's upper left and lower right",
            [v0_5.BatchAxis(size=1), points], labels,
        ),
        Value(
            "mask_input", "low_res_masks of an earlier call, or zeros",
            [
                v0_5.BatchAxis(size=1), v0_5.ChannelAxis(channel_names=["logits"]),
                v0_5.SpaceInputAxis(id="y", size=mask_side),
                v0_5.SpaceInputAxis(id="x", size=mask_side),
            ],
            logits[None, None],
        ),
        Value(
            "has_mask_input", "1 where mask_input counts, else 0", [v0_5.BatchAxis(size=1)],
            np.ones(1, np.float32),
        ),
    ]  # fmt: skip


def ais_value(maps: NDArray[np.float32]) -> Value:
    """Describe the three AIS maps, in the order that the spec's coming operation takes."""
    names = ["foreground", "center_distances", "boundary_distances"]
    text = (
        "Foreground; distance to the object's centre, 0 at it; inverted distance to its boundary, "
        "1 at it. Labels: config.samzoo."
    )
    return Value("ais_maps", text, _image_axes(names, maps.shape[-1]), maps)


def mask_values(found: Sequence[NDArray[np.float32]]) -> list[Value]:
    """Describe the mask, its estimated IoU, and the logits that a correction uses."""
    v0_5 = spec()
    masks, iou, low_res = found
    scores = [v0_5.BatchAxis(size=1), v0_5.ChannelAxis(channel_names=["iou"])]
    return [
        Value("masks", "Logits; the object is where they are above 0",
              _image_axes(["mask"], masks.shape[-1]), masks),
        Value("iou_predictions", "The model's estimate of the mask's IoU", scores, iou),
        Value("low_res_masks", "Logits for mask_input of a correction",
              _image_axes(["logits"], low_res.shape[-1]), low_res),
    ]  # fmt: skip


def _image_axes(channels: Sequence[str], side: int) -> list[Any]:
    v0_5 = spec()
    return [
        v0_5.BatchAxis(size=1),
        v0_5.ChannelAxis(channel_names=list(channels)),
        v0_5.SpaceOutputAxis(id="y", size=side),
        v0_5.SpaceOutputAxis(id="x", size=side),
    ]


def write_package(
    path: Path,
    module: nn.Module,
    inputs: Sequence[Value],
    describe: Any,
    source: Source,
    purpose: str,
) -> None:
    """Write one zip with both weight formats, test tensors and texts, without network access.

    Args:
        path: The zip.
        module: The network that the package computes.
        inputs: The inputs, in the order of the module's arguments.
        describe: A function that turns the module's outputs into values.
        source: The model.
        purpose: What the package is for, in a few words.
    """
    import torch

    with tempfile.TemporaryDirectory() as name, quiet_spec(), torch.no_grad():
        folder = Path(name)
        arguments = tuple(torch.from_numpy(value.test) for value in inputs)
        found = module.eval()(*arguments)
        tensors = found if isinstance(found, tuple) else (found,)
        outputs: list[Value] = describe([tensor.numpy() for tensor in tensors])
        names = tuple(value.name for value in inputs)
        write_graph(
            folder / "weights.onnx",
            Graph(module, arguments, names, tuple(value.name for value in outputs)),
            source,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of every Python number from a shape
            # torch's own check traces a second time, which doubles the memory; the tests check with
            # bioimageio.core instead.
            traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
                module, arguments, check_trace=False
            )
            torch.jit.save(traced, folder / "weights.pt")
        for value in (*inputs, *outputs):
            np.save(folder / f"{value.name}.npy", value.test)
        from bioimageio.spec import save_bioimageio_package

        description = describe_model(folder, inputs, outputs, source, purpose, opset=OPSET)
        save_bioimageio_package(description, output_path=path, allow_invalid=False)


TARGET = Target(
    name="bioimageio", tools=("bioimageio.core 0.11", "JDLL"), refusal=refusal, write=write
)
