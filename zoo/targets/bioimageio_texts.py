"""The description of a BioImage.IO package, made from the manifest alone.

In: a model, its inputs and outputs, and files in a folder. Out: a ``ModelDescr``. Facts that the
manifest does not have are left out, and the spec warns about them.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import CARD_FILE, Manifest
from samzoo.zoo.packages.target import Source

SAM_PAPER = ("Kirillov et al., Segment Anything, 2023", "10.48550/arXiv.2304.02643")
TAGS = ["segment-anything", "instance-segmentation", "2d", "microscopy", "samzoo"]
MAX_NAME = 128
WATERSHED = "microsam_watershed"


def describe_model(
    folder: Path,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    source: Source,
    purpose: str,
    *,
    opset: int,
) -> Any:
    """Build the description.

    Args:
        folder: The folder with the weights and a ``.npy`` for each value.
        inputs: ``Value`` of each input, in order.
        outputs: ``Value`` of each output, in order.
        source: The model.
        purpose: What the package is for.
        opset: Opset of the ONNX file.

    Returns:
        A ``bioimageio.spec.model.v0_5.ModelDescr``.
    """
    import torch

    v0_5 = spec()
    manifest, config = source.manifest, source.config
    readme = folder / CARD_FILE
    readme.write_text(_readme(manifest, purpose), encoding="utf-8")
    data = v0_5.IntervalOrRatioDataDescr(type="float32")

    def tensor(kind: Any, value: Any) -> Any:
        return kind(
            id=value.name, description=value.description[:128], axes=list(value.axes), data=data,
            test_tensor=v0_5.FileDescr(source=(folder / f"{value.name}.npy").absolute()),
        )  # fmt: skip

    version = torch.__version__.partition("+")[0]
    return v0_5.ModelDescr(
        name=package_name(manifest.name, purpose),
        description=(manifest.card.get("description") or manifest.segments or purpose)[:1024],
        documentation=v0_5.FileDescr(source=readme.absolute()),
        authors=_authors(manifest, v0_5),
        cite=[v0_5.CiteEntry(text=SAM_PAPER[0], doi=v0_5.Doi(SAM_PAPER[1]))],
        **({"license": v0_5.LicenseId(manifest.license)} if manifest.license else {}),
        tags=[*TAGS, *([manifest.segments] if manifest.segments else [])],
        version=v0_5.Version("0.1.0"),
        inputs=[tensor(v0_5.InputTensorDescr, value) for value in inputs],
        outputs=[tensor(v0_5.OutputTensorDescr, value) for value in outputs],
        weights=v0_5.WeightsDescr(
            torchscript=v0_5.TorchscriptWeightsDescr(
                source=(folder / "weights.pt").absolute(), pytorch_version=v0_5.Version(version)
            ),
            onnx=v0_5.OnnxWeightsDescr(
                source=(folder / "weights.onnx").absolute(), opset_version=opset,
                parent="torchscript",
            ),
        ),
        config=_config(manifest, config, source, v0_5),
    )  # fmt: skip


def watershed_parameters(config: ModelConfig) -> dict[str, Any]:
    """Return the post-processing parameters, by the names of the spec's coming operation."""
    return {"id": WATERSHED, "kwargs": dataclasses.asdict(config.ais)}


def package_name(name: str, purpose: str) -> str:
    """Bring a model's name to the letters that the spec allows, at least five."""
    return re.sub(r"[^A-Za-z0-9_+\- ()]+", "-", f"{name} ({purpose})")[:MAX_NAME]


def _authors(manifest: Manifest, v0_5: Any) -> list[Any]:
    """Return the authors named in the card's first line; the spec allows no slash in a name."""
    text = manifest.card.get("authors", "").strip().splitlines()
    first = re.split(r"[.;(]", text[0])[0] if text else ""
    names = [re.sub(r"[/\\]", " ", name).strip() for name in re.split(r",| and ", first)]
    return [v0_5.Author(name=name) for name in names if name]


def _readme(manifest: Manifest, purpose: str) -> str:
    card = manifest.card
    sections = [
        f"# {manifest.name}: {purpose}",
        card.get("description", ""),
        *(
            f"## {title}\n\n{card[key]}"
            for key, title in (
                ("intended_use", "Intended use"),
                ("limitations", "Limitations"),
                ("training_data", "Training data"),
            )
            if card.get(key)
        ),
        f"# Validation\n\n{_validation(manifest)}",
    ]
    return "\n\n".join(text for text in sections if text) + "\n"


def _validation(manifest: Manifest) -> str:
    lines = []
    for entry in manifest.metrics.get("evaluations", []):
        scores = ", ".join(f"{task} {value['msa']:.3f}" for task, value in entry["scores"].items())
        lines.append(
            f"- {entry.get('subject', 'this model')}, {entry.get('data', '')} "
            f"{entry.get('split', '')}: mSA {scores}"
        )
    return "\n".join(lines) or "No scores were measured; look at the results on your own images."


def _config(manifest: Manifest, config: ModelConfig, source: Source, v0_5: Any) -> Any:
    samzoo: dict[str, Any] = {
        "name": manifest.name,
        "weights_digest": config.weights_digest,
        "scale": config.preprocessing.scale,
    }
    if config.architecture.ais_decoder is not None:
        samzoo["postprocessing"] = watershed_parameters(config)
    parameters = sum(int(tensor.size) for tensor in source.tensors.values())
    bioimageio = v0_5.BioimageioConfig(
        architecture_type=f"SAM, {config.architecture.image_encoder.type}",
        task="instance segmentation",
        model_parameter_count=parameters,
        **({"target_structure": [manifest.segments]} if manifest.segments else {}),
    )
    return v0_5.Config(bioimageio=bioimageio, samzoo=samzoo)


def spec() -> Any:
    """Import the spec's version 0.5; it is untyped, since its classes convert their arguments."""
    from bioimageio.spec.model import v0_5

    return v0_5


@contextmanager
def quiet_spec() -> Iterator[None]:
    """Keep the library from using the network and from logging advice."""
    from bioimageio.spec import ValidationContext
    from loguru import logger

    logger.disable("bioimageio")
    try:
        with warnings.catch_warnings(), ValidationContext(perform_io_checks=False):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.enable("bioimageio")
