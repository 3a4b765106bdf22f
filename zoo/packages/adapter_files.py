"""The files of each adapter in a package whose adapters share an encoder.

In: adapter folders and their base. Out: for each adapter its factors, its AIS decoder, its answers,
and what it changes in the base's mask decoder, or a mask decoder of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from samzoo.runtime.engine.sessions import OnnxNetworks
from samzoo.runtime.engine.shared_encoder import adapted_networks
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import (
    DECODER_CHANGES,
    ENCODER,
    FACTORS,
    MASK_DECODER,
    AdapterEntry,
    Manifest,
    read_entry,
)
from samzoo.runtime.model import Model
from samzoo.zoo.graphs.decoder_changes import changes_file
from samzoo.zoo.graphs.factor_files import encoder_factors, write_factors
from samzoo.zoo.graphs.shared_graphs import base_mask_decoder, decoders, stored
from samzoo.zoo.merging.merged_weights import QloraBase

from .package_folder import PackageFile
from .self_test import TEST_ROLE, adapter_test_file, answers_file

SHARED_DECODER = f"onnx/{MASK_DECODER}.onnx"
"""Path of the mask decoder that adapters change, beside the shared encoder."""


class SharedDecoder:
    """The base's mask decoder, which adapters of small changes share.

    Attributes:
        graph: The ONNX file as the package stores it.
        used: Whether an adapter changes it instead of bringing its own.
    """

    def __init__(self, model: ModelConfig, base: Path, precision: str, graph: bytes | None) -> None:
        """Export the base's mask decoder.

        Args:
            model: The base's config as the package declares it.
            base: The base's folder.
            precision: How the package stores weights.
            graph: The mask decoder of an earlier package; None to make it anew.
        """
        self._weights = base_mask_decoder(model, base)
        self.graph = stored(self._weights, precision) if graph is None else graph
        self.used = False

    def changes(self, adapted: bytes) -> bytes | None:
        """Return the file of what an adapter changes; see ``changes_file``."""
        found = changes_file(self.graph, self._weights, adapted)
        self.used |= found is not None
        return found


def files_of_adapters(
    adapters: Mapping[str, Path],
    manifest: Manifest,
    base: Path,
    qlora_base: QloraBase,
    encoder: bytes,
    shared: SharedDecoder | None,
) -> tuple[tuple[AdapterEntry, ...], dict[str, PackageFile]]:
    """Make the files of each adapter in a package.

    Args:
        adapters: Adapter folders by name.
        manifest: The package's manifest, with unmerged entries of the adapters.
        base: The base's folder.
        qlora_base: As in ``export_shared``.
        encoder: The shared encoder's graph.
        shared: The mask decoder that the adapters may change; None if each brings its own.

    Returns:
        The adapters' entries as merged models, and the files with factors, decoders and tests.
    """
    content: dict[str, PackageFile] = {}
    entries = []
    layers = manifest.model.architecture.image_encoder
    precision = manifest.precision
    networks = OnnxNetworks(lambda _: encoder, manifest.model)
    for entry in manifest.adapters:
        if entry.name not in adapters:
            continue
        adapter, place = adapters[entry.name], f"adapters/{entry.name}"
        model, graphs = decoders(adapter, base, qlora_base, entry.name)
        entries.append(dataclasses.replace(entry, model=model))
        changes = None if shared is None else shared.changes(graphs[MASK_DECODER])
        files = {role: stored(graph, precision) for role, graph in graphs.items()}
        files[FACTORS] = write_factors(encoder_factors(adapter, layers), half=precision != "fp32")
        paths = {role: f"{place}/{role}.onnx" for role in graphs}
        paths[FACTORS] = f"{place}/lora.onnx_adapter"
        if changes is not None:
            del files[MASK_DECODER]
            files[DECODER_CHANGES] = changes
            paths[DECODER_CHANGES] = f"{place}/{MASK_DECODER}.safetensors"
        for role, data in files.items():
            content[paths[role]] = PackageFile(data, role, entry.name)
        changed = None if shared is None or changes is None else {MASK_DECODER: shared.graph}
        adapted = adapted_networks(
            networks, files.__getitem__, model, where=(place + "/{}").format,
            shared=None if changed is None else changed.__getitem__,
        )  # fmt: skip
        answers = answers_file(Model(model, adapted))
        content[adapter_test_file(entry.name)] = PackageFile(answers, TEST_ROLE, entry.name)
    return tuple(entries), content


def shared_decoder(package: Path, manifest: Manifest, base: Path) -> SharedDecoder | None:
    """Return the mask decoder that a package's adapters share, if they share one.

    Args:
        package: A package with a shared encoder.
        manifest: Its manifest.
        base: The folder of its base.
    """
    entry = manifest.graph(MASK_DECODER)
    if entry is None:
        return None
    graph = read_entry(package, entry)
    return SharedDecoder(manifest.model, base, manifest.precision, graph)


def shared_files(encoder: bytes, shared: SharedDecoder | None) -> dict[str, PackageFile]:
    """Return the files that the adapters of a package share."""
    files = {f"onnx/{ENCODER}.onnx": PackageFile(encoder, ENCODER)}
    if shared is not None and shared.used:
        files[SHARED_DECODER] = PackageFile(shared.graph, MASK_DECODER)
    return files
