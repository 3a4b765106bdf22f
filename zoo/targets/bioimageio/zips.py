"""BioImage.IO packages, spec 0.5: one for automatic segmentation, one for prompts.

Both hold ONNX and TorchScript of the same fixed shapes, since bioimageio.core's ONNX adapter does
not support optional inputs and binds tensors by position. Larger images are predicted in blocks.
Post-processing parameters are in ``config.samzoo`` under the names of the operation
``microsam_watershed``, which the spec does not have yet.

Source: bioimageio.spec 0.5.12, ``model/v0_5.py``; its pull request 768.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from samzoo.runtime.dependencies import require
from samzoo.runtime.formats.config import ModelConfig
from samzoo.zoo.graphs.memory_release import return_freed_memory
from samzoo.zoo.graphs.tracing import OPSET
from samzoo.zoo.packages.target import Source, Target
from samzoo.zoo.targets.sam_sizes import bottlenecks
from samzoo.zoo.targets.tool_export import Graph, make_sam, write_graph

from .attachment import attach
from .description import Files, describe_model, quiet_spec
from .pictures import objects, write_cover, write_sample
from .proof import prove
from .tensors import (
    Tensor,
    Value,
    ais_values,
    fed,
    image_value,
    mask_values,
    prompt_values,
    test_image,
)

if TYPE_CHECKING:
    from samzoo.training.networks.bioimageio_graphs import AisPackage, PromptPackage

ONNX_FILE, TORCHSCRIPT_FILE = "weights.onnx", "weights.pt"


class Package(NamedTuple):
    """What one zip computes.

    Attributes:
        path: The zip.
        module: The network: its ``encoder``, and its ``decode`` after that.
        inputs: The inputs, in the order of the module's arguments.
        describe: A function that turns the module's outputs into values.
        purpose: What the package is for, in a few words.
    """

    path: Path
    module: AisPackage | PromptPackage
    inputs: Sequence[Value]
    describe: Callable[[Sequence[Tensor]], list[Value]]
    purpose: str


def refusal(config: ModelConfig) -> str:
    """Refuse no model: each has a prompt package, and one with an AIS decoder has both."""
    return bottlenecks(config)


def write(folder: Path, source: Source) -> None:
    """Write ``NAME-prompts.zip``, and ``NAME-ais.zip`` where the model has an AIS decoder.

    Args:
        folder: The target's folder, in a package that has its graphs and its test already.
        source: The model.

    Raises:
        MissingDependencyError: bioimageio.core, torch or onnx is not installed.
    """
    require("bioimageio.core", extra="bioimageio")
    from samzoo.training.networks.bioimageio_graphs import AisPackage, PromptPackage, image_side

    sam = make_sam(source)
    side = image_side(sam)
    name, preprocessing = source.manifest.name, source.config.preprocessing
    image = test_image(side)
    packages = [
        Package(
            folder / f"{name}-prompts.zip", PromptPackage(sam),
            [
                image_value(image, preprocessing, in_blocks=False),
                *prompt_values(side, source.config.mask_side),
            ],
            mask_values, "prompts",
        ),
    ]  # fmt: skip
    if source.config.architecture.ais_decoder is not None:
        seen = image_value(image, preprocessing, in_blocks=True)
        packages.insert(0, Package(
            folder / f"{name}-ais.zip", AisPackage(sam), [seen], ais_values,
            "automatic segmentation",
        ))  # fmt: skip
    for package in packages:
        write_zip(package, source)


def write_zip(package: Package, source: Source) -> None:
    """Write one zip with both weight formats, tensors and texts, and prove that it runs.

    No network access is needed.

    Args:
        package: What to write.
        source: The model.
    """
    import torch

    with tempfile.TemporaryDirectory(prefix="samzoo-") as name, quiet_spec(), torch.no_grad():
        folder = Path(name)
        module: Any = package.module.eval()
        inputs = package.inputs
        image = fed(inputs[0].test, source.config.preprocessing)
        arguments = tuple(map(torch.from_numpy, (image, *(value.test for value in inputs[1:]))))
        # The packages have one test image.
        embeddings = source.once("tile embeddings", lambda: module.encoder(arguments[0]))
        outputs = package.describe(arrays(module.decode(embeddings, *arguments[1:])))
        names = tuple(value.name for value in inputs)
        write_graph(
            folder / ONNX_FILE,
            Graph(module, arguments, names, tuple(value.name for value in outputs)),
            source,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of every Python number from a shape
            # torch's own check traces a second time, which doubles the memory; the proof below
            # compares instead.
            traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
                module, arguments, check_trace=False
            )
            torch.jit.save(traced, folder / TORCHSCRIPT_FILE)
            del traced
        return_freed_memory()
        for value in (*inputs, *outputs):
            np.save(folder / f"{value.name}.npy", value.test)
            write_sample(folder, value)
        results = {value.name: value.test for value in outputs}
        write_cover(folder, inputs[0].test, objects(results, source.config.ais))
        from bioimageio.spec import save_bioimageio_package

        attached = attach(folder, package.path.parent.parent, source.manifest)
        files = Files(folder, ONNX_FILE, TORCHSCRIPT_FILE, attached)
        description = describe_model(files, inputs, outputs, source, package.purpose, opset=OPSET)
        save_bioimageio_package(description, output_path=package.path, allow_invalid=False)
    with quiet_spec(), torch.no_grad():
        prove(
            package.path, inputs, outputs, source.config.preprocessing,
            lambda tile: arrays(module(torch.from_numpy(tile)))[0],
        )  # fmt: skip


def arrays(outputs: Any) -> list[Tensor]:
    """Return a module's outputs as arrays."""
    found = outputs if isinstance(outputs, tuple) else (outputs,)
    return [tensor.numpy() for tensor in found]


TARGET = Target(
    name="bioimageio", tools=("bioimageio.core 0.11", "JDLL"), refusal=refusal, write=write
)
