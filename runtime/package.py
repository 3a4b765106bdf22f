"""From a package folder to a model that runs. Called by users and by the command line."""

from __future__ import annotations

from pathlib import Path

from .errors import FormatError
from .manifest import AIS_DECODER, ENCODER, MASK_DECODER, Manifest, read_entry
from .model import Model
from .providers import CPU
from .sessions import OnnxNetworks


def load(package: str | Path, *, threads: int | None = None, provider: str = CPU) -> Model:
    """Open a package; each of its graphs is checked and loaded when first used.

    Args:
        package: The package's folder.
        threads: CPU threads of one operator; all cores by default.
        provider: Where the graphs run: ``cpu``, ``cuda``, ``coreml``, ``openvino`` or
            ``directml``; see ``docs/api.md``. Never another one than asked for.

    Returns:
        The model.

    Raises:
        InputError: ``threads`` is below 1, or there is no such provider.
        MissingDependencyError: This onnxruntime does not have the provider, or (at first use) its
            libraries do not load.
        NotFoundError: There is no package in this folder.
        FormatError: The manifest is damaged or incomplete, or (at first use) a file differs from
            what the manifest says.

    Example:
        >>> from samzoo.runtime import load
        >>> load("no/such/folder")
        Traceback (most recent call last):
        samzoo.runtime.errors.NotFoundError: no/such/folder: no samzoo package here (samzoo.json \
is missing)
    """
    folder = Path(package)
    manifest = Manifest.read(folder)
    roles = [ENCODER, MASK_DECODER]
    if manifest.model.architecture.ais_decoder is not None:
        roles.append(AIS_DECODER)
    entries = {role: manifest.graph(role) for role in roles}
    missing = [role for role, entry in entries.items() if entry is None]
    if missing:
        raise FormatError(f"{folder / 'samzoo.json'}: files: none has the role {missing[0]!r}")

    def read(role: str) -> bytes:
        entry = entries[role]
        if entry is None:
            raise FormatError(f"{folder / 'samzoo.json'}: files: none has the role {role!r}")
        return read_entry(folder, entry)

    networks = OnnxNetworks(
        read, mask_side=4 * manifest.model.grid, threads=threads, provider=provider
    )
    return Model(manifest.model, networks)
