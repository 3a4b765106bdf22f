"""Assembly of a package that the runtime loads, from a model or an adapter.

In: a model folder (or an adapter and its base). Out: a package folder with ONNX graphs, manifest
and card.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samzoo.runtime.dependencies import require, require_installed
from samzoo.runtime.engine.sessions import OnnxNetworks
from samzoo.runtime.errors import InputError, NotFoundError, shown
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, is_adapter, read_adapter_config
from samzoo.runtime.formats.arrays import Progress, Tensors
from samzoo.runtime.formats.config import AisParameters, ModelConfig
from samzoo.runtime.formats.folders import CONFIG_FILE, WEIGHTS_FILE, read_model_folder
from samzoo.runtime.formats.manifest import (
    CARD_FILE,
    PRECISIONS,
    WEIGHTS,
    Manifest,
    Precision,
    check_relative,
    read_entry,
)
from samzoo.runtime.formats.outputs import check_output_folder, write_bytes
from samzoo.runtime.model import Model
from samzoo.zoo.cards.card_pictures import named_pictures
from samzoo.zoo.graphs.memory_release import return_freed_memory
from samzoo.zoo.graphs.tracing import export_graphs, graph_roles
from samzoo.zoo.merging.folding import input_folders, merged
from samzoo.zoo.merging.merged_weights import DEFAULT_QLORA_BASE, QloraBase, check_qlora_base

from .package_folder import PackageFile, with_measured, write_package
from .self_test import TEST_FILE, TEST_ROLE, write_test
from .stored_weights import is_package, read_weights, write_weights
from .target import Source, Target, fitting

logger = logging.getLogger(__name__)


def export(
    source: Path,
    output: Path,
    *,
    base: Path | None = None,
    qlora_base: QloraBase = DEFAULT_QLORA_BASE,
    precision: Precision = "fp32",
    name: str | None = None,
    segments: str = "",
    metrics: Mapping[str, Any] | None = None,
    card: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    targets: Sequence[Target] = (),
    weights: bool = False,
    ais: AisParameters | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Write a package.

    Args:
        source: A model folder; an adapter folder, which is merged first; or a package that holds
            its weights, whose name, texts and scores are kept unless others are given.
        output: The package folder to write.
        base: The base of an adapter; by default the folder where it lay while training.
        qlora_base: The weights that a QLoRA adapter is folded into; see ``merge``.
        precision: How the graphs store weights. ``fp16`` halves the files, ``int8-weights``
            quarters them, and ``int8`` also computes with integers.
        name: The package's name; by default made from the output folder's name.
        segments: What the model segments, in a few words.
        metrics: Measured scores for manifest and card; see ``docs/formats.md``.
        card: Texts of the model card by section; see ``card.SECTIONS``.
        files: Further files to put into the package, by relative path.
        targets: Other tools' formats to write as well; ``choose_targets`` finds them by name.
        weights: Also store the merged weights, so that the package can be exported again.
        ais: Thresholds of the automatic segmentation that replace the source's.
        force: Replace an existing ``output``.
        progress: Called with the name of each graph and target when it begins, the number of steps
            done, and that of all steps.

    Returns:
        The manifest.

    Raises:
        NotFoundError: ``source`` is not a model, adapter or package, or a file is missing.
        FormatError: A file is damaged, or they do not belong together.
        InputError: An argument is not one of those allowed, a target cannot take the model, or a
            package holds no weights.
        OutputExistsError: ``output`` exists and ``force`` is false.
        MissingDependencyError: torch or onnx is not installed.
        StorageError: The disk is full or the folder cannot be written.

    Example:
        ``run`` is an adapter folder, as training writes it.

        >>> from pathlib import Path
        >>> from samzoo.zoo import export
        >>> manifest = export(Path("run"), Path("package"), name="cells")
        >>> manifest.name
        'cells'
        >>> sorted(path.name for path in Path("package/onnx").iterdir())
        ['ais_decoder.onnx', 'encoder.onnx', 'mask_decoder.onnx']
    """
    check_precision(precision)
    methods: list[str] = []
    if is_adapter(source):
        inputs = input_folders(source, base)
        methods = [read_adapter_config(source / ADAPTER_CONFIG_FILE).method]
    elif base is not None:
        raise InputError(f"base is the base of an adapter, but {source} is not one; omit it")
    else:
        inputs = [source]
    check_qlora_base(qlora_base, methods)
    check_output_folder(output, force=force, inputs=inputs)
    for path in files or {}:
        check_relative(path, where="files")
    for needed in (
        "torch",
        "onnx",
    ):  # imported after all checks, since it takes seconds
        require_installed(needed, extra="export")
    package, config, tensors = _read_source(source, base, qlora_base)
    if package is not None:
        files = {**_other_files(source, package), **(files or {})}
    if ais is not None:
        if config.architecture.ais_decoder is None:
            raise InputError(f"ais: {source} has no AIS decoder with thresholds; omit it")
        config = dataclasses.replace(config, ais=ais)
    chosen = fitting(targets, config)
    manifest = Manifest(  # refuses a bad name before the work
        name=name or (package.name if package else package_name(output)),
        segments=segments or (package.segments if package else ""),
        license=(package.license if package else "") or license_of(config.source),
        model=config,
        files=(),
        precision=precision,
        metrics=dict(metrics or (package.metrics if package else {})),
        card=dict(card or (package.card if package else {})),
        software=software_versions(),
        pictures=package.pictures if package else (),
        datasets=package.datasets if package else (),
    )
    require("torch", extra="export")
    from samzoo.training.networks.sam import Sam, held_once, load_weights

    if chosen and precision != "fp32":
        logger.warning(
            "precision %s is that of the package's own graphs; files for other tools are float32",
            precision,
        )
    sam = Sam(config)
    load_weights(sam, tensors, where=str(source))
    sam.eval()
    tensors = held_once(sam, tensors)
    roles = {f"onnx/{role}.onnx": role for role in graph_roles(sam)}
    step = _Steps(progress, len(roles) + 1 + weights + len(chosen))

    def fill(folder: Path) -> Manifest:
        metadata = {"samzoo.name": manifest.name, "samzoo.weights_digest": config.weights_digest}
        for path, role in roles.items():
            step(f"graph {role}")
            graphs = export_graphs(sam, precision=precision, metadata=metadata, roles=[role])
            write_bytes(folder / path, graphs[role])
            del graphs
            return_freed_memory()
        step("test of its own")
        # The sessions of a ViT-B take gigabytes, so free them before writing the targets.
        networks = OnnxNetworks(
            lambda role: (folder / f"onnx/{role}.onnx").read_bytes(), config, shared_memory=False
        )
        write_test(folder / TEST_FILE, Model(config, networks))
        del networks
        return_freed_memory()
        if weights:
            step("weights")
            write_weights(folder, tensors, half=precision != "fp32")
        with tempfile.TemporaryDirectory(prefix="samzoo-") as scratch:
            model = Source(
                config=config, tensors=tensors, manifest=manifest, scratch=Path(scratch),
                made={"sam": sam},
            )  # fmt: skip
            for target in chosen:
                step(f"target {target.name}")
                (folder / target.name).mkdir()
                target.write(folder / target.name, model)
                return_freed_memory()
        step.end()
        return with_measured(manifest, model.measured)

    content = {path: PackageFile(data) for path, data in (files or {}).items()}
    known = {**roles, TEST_FILE: TEST_ROLE, **({WEIGHTS_FILE: WEIGHTS} if weights else {})}
    return write_package(output, manifest, content, fill=fill, roles=known, force=force)


class _Steps:
    """Counts the steps of an export for its progress."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, -1
        self._stage = ""

    def __call__(self, stage: str) -> None:
        """Begin a step, which ends the one before."""
        self._stage = stage
        self.end()

    def end(self) -> None:
        """End a step."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._stage, self._done, self._total)


def _read_source(
    source: Path, base: Path | None, qlora_base: QloraBase
) -> tuple[Manifest | None, ModelConfig, Tensors]:
    """Return the model, and the manifest where the source is a package."""
    if is_package(source) and not is_adapter(source):
        package, tensors = read_weights(source)
        return package, package.model, tensors
    return None, *read_model(source, base=base, qlora_base=qlora_base)


def _other_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return the files of a package that another export does not create: the card's pictures."""
    pictures = named_pictures(manifest)
    return {
        entry.path: read_entry(folder, entry)
        for entry in manifest.files
        if not entry.role
        and entry.path != CARD_FILE
        and ("/" not in entry.path or entry.path in pictures)
    }


def read_model(
    source: Path, *, base: Path | None = None, qlora_base: QloraBase = DEFAULT_QLORA_BASE
) -> tuple[ModelConfig, Tensors]:
    """Read a model folder, or merge an adapter folder in memory.

    Raises:
        NotFoundError: The folder is neither, or a file is missing.
        FormatError: A file is damaged, or they do not belong together.
    """
    if is_adapter(source):
        return merged(source, base=base, qlora_base=qlora_base)
    if not (source / CONFIG_FILE).is_file():
        raise NotFoundError(
            f"{source}: neither a model ({CONFIG_FILE}) nor an adapter (adapter_config.json); make "
            "a base from another tool's checkpoint first: samzoo convert CHECKPOINT -o BASE"
        )
    return read_model_folder(source)


def software_versions() -> dict[str, str]:
    """Return the versions of samzoo and of the installed packages that its results depend on."""
    versions = {}
    for package in ("samzoo", "torch", "onnx", "onnxruntime", "bioimage-cpp", "numpy"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def check_precision(precision: str) -> None:
    """Refuse an unknown precision.

    Raises:
        InputError: The precision is unknown; the message lists the known ones.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision: found {shown(precision)}, allowed: {', '.join(PRECISIONS)}")


def package_name(output: Path) -> str:
    """Make a package's name from a folder's name."""
    return re.sub(r"[^a-z0-9._-]+", "-", output.name.lower()).strip("._-") or "model"


def license_of(source: Mapping[str, Any]) -> str:
    """Return the licence that the finetuned model declares, else that of its base."""
    base = source.get("base")
    inherited = base.get("license") if isinstance(base, Mapping) else None
    return str(source.get("license") or inherited or "")
