"""The description of a BioImage.IO package, made from the manifest alone.

In: a model, its inputs and outputs, and files in a folder. Out: a ``ModelDescr``. Facts that the
manifest does not have are left out, and the spec warns about them.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from samzoo.runtime.errors import shown
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import CARD_FILE, Manifest
from samzoo.zoo.packages.target import Source

from .pictures import COVER_FILE, sample_file
from .readme import render_readme
from .tensors import Value, spec

logger = logging.getLogger(__name__)

SAM_PAPER = ("Kirillov et al., Segment Anything, 2023", "10.48550/arXiv.2304.02643")
AIS_PAPER = (
    "Archit et al., Segment Anything for Microscopy, 2025: automatic segmentation",
    "10.1038/s41592-024-02580-4",
)
TAGS = ("segment-anything", "instance-segmentation", "2d", "pytorch", "samzoo")
CONTENT = ("nuclei", "cells", "mitochondria", "tissue", "plant", "vasculature", "brain")
"""The words of bioimage.io's category ``content`` that may stand in what a model segments."""
MODALITIES = {
    "fluorescence": "fluorescence-light-microscopy",
    "electron": "electron-microscopy",
    "histology": "whole-slide-imaging",
    "brightfield": "transmission-light-microscopy",
    "phase contrast": "transmission-light-microscopy",
}
"""bioimage.io's category ``modality``, by words in what a model segments."""

MAX_NAME = 128
MAX_TAG = 64
WATERSHED = "microsam_watershed"
_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>()]+[^\s\"<>().,;]")


class Files(NamedTuple):
    """The files of a package beside its tensors, in one folder."""

    folder: Path
    onnx: str
    torchscript: str
    package: Path


def describe_model(
    files: Files,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    source: Source,
    purpose: str,
    *,
    opset: int,
) -> Any:
    """Build the description.

    Args:
        files: The weights and the attached package. For each value the folder has a test tensor,
            ``NAME.npy``, and a sample; and it has the cover.
        inputs: The inputs, in order.
        outputs: The outputs, in order.
        source: The model.
        purpose: What the package is for.
        opset: Opset of the ONNX file.

    Returns:
        A ``bioimageio.spec.model.v0_5.ModelDescr``.
    """
    import torch

    v0_5 = spec()
    manifest, config, folder = source.manifest, source.config, files.folder.absolute()
    readme = folder / CARD_FILE
    readme.write_text(render_readme(source, inputs, purpose), encoding="utf-8")

    def tensor(kind: Any, field: str, value: Value) -> Any:
        return kind(
            id=value.name, description=value.description, axes=list(value.axes), data=value.data,
            test_tensor=v0_5.FileDescr(source=folder / f"{value.name}.npy"),
            sample_tensor=v0_5.FileDescr(source=folder / sample_file(value)),
            **{field: list(value.processing)},
        )  # fmt: skip

    version = torch.__version__.partition("+")[0]
    return v0_5.ModelDescr(
        name=package_name(manifest.name, purpose),
        description=(manifest.card.get("description") or manifest.segments or purpose)[:1024],
        documentation=v0_5.FileDescr(source=readme),
        covers=[v0_5.FileDescr(source=folder / COVER_FILE)],
        attachments=[v0_5.FileDescr(source=files.package.absolute())],
        authors=_authors(manifest, v0_5),
        cite=[v0_5.CiteEntry(text=t, doi=v0_5.Doi(d)) for t, d in _cited(manifest, config)],
        **_license(manifest, v0_5),
        tags=_tags(manifest),
        version=v0_5.Version("0.1.0"),
        timestamp=datetime.now(UTC).replace(microsecond=0),  # else it is the time of each reading
        inputs=[tensor(v0_5.InputTensorDescr, "preprocessing", value) for value in inputs],
        outputs=[tensor(v0_5.OutputTensorDescr, "postprocessing", value) for value in outputs],
        weights=v0_5.WeightsDescr(
            torchscript=v0_5.TorchscriptWeightsDescr(
                source=folder / files.torchscript, pytorch_version=v0_5.Version(version)
            ),
            onnx=v0_5.OnnxWeightsDescr(
                source=folder / files.onnx, opset_version=opset, parent="torchscript"
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


def _cited(manifest: Manifest, config: ModelConfig) -> list[tuple[str, str]]:
    """Return the papers behind the model, and those that its card names by a DOI."""
    found = [SAM_PAPER]
    if config.architecture.ais_decoder is not None:
        found.append(AIS_PAPER)
    known = {doi.lower() for _, doi in found}
    for line in manifest.card.get("authors", "").splitlines():
        for doi in _DOI.findall(line):
            if doi.lower() not in known:
                known.add(doi.lower())
                found.append((line.strip()[:256], doi))
    return found


def _license(manifest: Manifest, v0_5: Any) -> dict[str, Any]:
    if not manifest.license:
        return {}
    from pydantic import ValidationError

    try:
        return {"license": v0_5.LicenseId(manifest.license)}
    except (ValidationError, ValueError):
        logger.warning(
            "bioimageio: license: found %s, which is no SPDX identifier; the zip declares none, "
            "and bioimage.io asks for one", shown(manifest.license),
        )  # fmt: skip
        return {}


def _tags(manifest: Manifest) -> list[str]:
    """Return tags; those of bioimage.io's categories where the manifest says what they name."""
    text = manifest.segments.lower()
    words = set(re.findall(r"[a-z]+", text))
    tags = [
        *TAGS,
        *(tag for word, tag in MODALITIES.items() if word in text),
        *(tag for tag in CONTENT if tag in words),
        *([manifest.segments] if manifest.segments and len(manifest.segments) <= MAX_TAG else []),
    ]
    return list(dict.fromkeys(tags))


def _config(manifest: Manifest, config: ModelConfig, source: Source, v0_5: Any) -> Any:
    samzoo: dict[str, Any] = {
        "name": manifest.name,
        "weights_digest": config.weights_digest,
        "scale": config.preprocessing.scale,
        "intensity": config.preprocessing.intensity,
        "precision": manifest.precision,
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


@contextmanager
def quiet_spec() -> Iterator[None]:
    """Keep the library from using the network, from logging advice, and from drawing progress.

    Files are checked, and their hashes written, where that needs no network: descriptions are made
    of plain files, and name no web address.
    """
    from bioimageio.spec import ValidationContext
    from loguru import logger

    logger.disable("bioimageio")
    try:
        with (
            warnings.catch_warnings(),
            redirect_stderr(io.StringIO()),
            ValidationContext(perform_io_checks=True),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.enable("bioimageio")
