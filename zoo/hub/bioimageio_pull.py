"""From a BioImage.IO model to a package in the cache.

In: ``bioimageio:NICKNAME`` or ``bioimageio:FILE.zip``. Out: the package. samzoo's own zips have it
attached. Of others, ``convert`` reads a SAM's weights. No code of the model is run, and its
architecture file is not even fetched.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.arrays import Progress
from samzoo.zoo.checkpoints.conversion import convert
from samzoo.zoo.checkpoints.reading import read_state_dicts
from samzoo.zoo.downloads import cache
from samzoo.zoo.downloads.file_lock import locked
from samzoo.zoo.downloads.retrieval import is_whole

from .bioimageio_rdf import Rdf, read_rdf
from .bioimageio_source import BIOIMAGEIO_PREFIX, Found, find_model, is_zip
from .package_zip import unpack_package


def canonical(reference: str) -> str:
    """Return the reference as the cache stores it; a zip is stored by its absolute path."""
    rest = reference.removeprefix(BIOIMAGEIO_PREFIX)
    if is_zip(rest) and "://" not in rest:
        # A digest, since the cache shortens long references and two paths may begin alike.
        path = str(Path(rest).expanduser().resolve())
        digest = hashlib.sha256(path.encode()).hexdigest()[:16]
        rest = f"{Path(rest).name[:80]}@{digest}"
    return BIOIMAGEIO_PREFIX + rest


def pull_from_bioimageio(reference: str, *, progress: Progress | None = None) -> Path:
    """Make a package in the cache from a BioImage.IO model, unless the cache has it.

    Args:
        reference: ``bioimageio:NICKNAME`` or ``bioimageio:FILE.zip``.
        progress: A function of the stage, the bytes done and the total number of bytes.

    Returns:
        The package's folder.

    Raises:
        InputError: The reference is neither.
        NotFoundError: There is no such model or file.
        FormatError: A file is damaged or not the expected one, or samzoo cannot read the model as a
            SAM.
        MissingDependencyError: ruyaml is not installed, or torch or onnx, which a zip without an
            attached package needs.
        StorageError: The connection or the disk failed.
    """
    report: Progress = progress or (lambda stage, done, total: None)
    found = find_model(reference)
    rdf = read_rdf(found.rdf, where=found.where)
    if rdf.package is None:
        for needed in ("torch", "onnx"):  # before hundreds of megabytes are fetched
            require(needed, extra="export")
    with locked(cache.lock_file(found.key), waiting=lambda: report("wait for another pull", 0, 0)):
        folder = cache.model_folder(found.key)
        if not is_whole(folder):
            partial = cache.partial_folder(found.key)
            make = _exported if rdf.package is None else _unpacked
            folder = cache.install(make(found, rdf, partial, report), found.key)
            shutil.rmtree(partial, ignore_errors=True)
        cache.remember(canonical(reference), found.key)
    return folder


def _unpacked(found: Found, rdf: Rdf, partial: Path, report: Progress) -> Path:
    """Fetch and unpack the attached package in the partial folder, whose lock is held."""
    assert rdf.package is not None
    archive = partial / "files" / "package.zip"
    stage = f"pull {found.name}"
    found.fetch(rdf.package, archive, lambda done, total: report(stage, done, total))
    output = partial / "package"
    shutil.rmtree(output, ignore_errors=True)
    unpack_package(archive, output, where=f"{found.where}: {rdf.package.path}")
    return output


def _exported(found: Found, rdf: Rdf, partial: Path, report: Progress) -> Path:
    """Fetch, convert and export in the partial folder, whose lock is held."""
    from samzoo.zoo.packages.assembly import export, package_name

    assert rdf.weights is not None
    stage = f"pull {found.name}"
    weights = partial / "files" / "weights.pt"
    found.fetch(rdf.weights, weights, lambda done, total: report(stage, done, total))
    decoder = None
    try:
        if rdf.decoder is not None and not read_state_dicts(weights).decoder:
            decoder = partial / "files" / "decoder.pt"
            found.fetch(rdf.decoder, decoder, lambda done, total: report(stage, done, total))
        source = {"name": rdf.name, "license": rdf.license or None, "bioimageio": found.name}
        model = convert(weights, partial / "model", decoder=decoder, force=True, source=source)
    except FormatError as error:
        raise FormatError(
            f"{found.where}: samzoo cannot read its weights as those of a SAM ({error}). They need "
            f"{rdf.architecture}, and samzoo never runs code from a package; open it with "
            "bioimageio.core if you trust its authors"
        ) from error
    report("export", 0, 0)
    output = partial / "package"
    export(model, output, name=package_name(Path(found.name)), weights=True, force=True)
    return output
