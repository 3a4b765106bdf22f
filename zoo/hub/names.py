"""The search for a model's package folder by name or reference.

In: the name of a model that ships with samzoo, a folder, or a reference to a hub or index. Out: the
package folder, or the opened model.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from samzoo.runtime.engine.providers import CPU
from samzoo.runtime.errors import NotFoundError, SamzooError, StorageError, did_you_mean, shown
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE
from samzoo.runtime.formats.folders import CONFIG_FILE
from samzoo.runtime.formats.manifest import MANIFEST_FILE
from samzoo.runtime.loading import load as load_package
from samzoo.runtime.model import Model
from samzoo.zoo.downloads import cache
from samzoo.zoo.downloads.retrieval import Place
from samzoo.zoo.packages.shelf import find_shipped, shipped

from .bioimageio_pull import canonical, pull_from_bioimageio
from .bioimageio_source import BIOIMAGEIO_PREFIX
from .default_choice import DEFAULT_MODEL
from .huggingface_hub import HUB_PREFIX, hub_place, parse_reference, pull_from_hub
from .model_index import find_entry, locations, place_of, pull_from_index, read_index
from .references import pull_encoder


def resolve(reference: str | Path) -> Path:
    """Find the package folder of a reference.

    Args:
        reference: A name out of ``samzoo list``, the path of a package folder, or
            ``hf:ORG/NAME[@REVISION]``, ``bioimageio:NICKNAME`` or ``bioimageio:FILE.zip``, or a
            name in an index that ``SAMZOO_INDEX`` names. Models from hubs and indexes are only
            pulled if the cache does not have them, so a pulled model works offline; ``samzoo pull``
            asks the hub again.

    Returns:
        The folder.

    Raises:
        NotFoundError: The reference is none of these; the message lists the known names.
        SamzooError: A pull failed; see ``samzoo.zoo.hub.references.pull``.
    """
    reference = str(reference)
    if reference.startswith(BIOIMAGEIO_PREFIX):
        return _from_bioimageio(reference)
    if reference.startswith(HUB_PREFIX):
        return _from_hub(reference)
    if reference.replace("-", "").isalnum() and (found := find_shipped(reference)) is not None:
        return found
    folder = Path(reference)
    if (folder / MANIFEST_FILE).is_file():
        return folder
    problem = ""
    try:
        if (found := _from_indexes(reference)) is not None:
            return found
    except StorageError as error:  # an index that cannot be reached must not hide the message
        problem = f". No index could say more: {error}"
    known = ", ".join(listed.name for listed in shipped()) or "none"
    hint = ""
    if (folder / CONFIG_FILE).is_file() or (folder / ADAPTER_CONFIG_FILE).is_file():
        hint = f"; it is a model or adapter, run: samzoo export {reference} -o PACKAGE"
    raise NotFoundError(
        f"{shown(reference)}: neither a package folder ({MANIFEST_FILE} missing) nor a model "
        f"that ships with samzoo ({known})"
        f"{hint or did_you_mean(reference, _known_names(ask=not problem))}{problem}"
    )


def find_here(name: str) -> Path | None:
    """Find the package of a name on this computer: shipped with samzoo, or in the cache.

    Args:
        name: A name out of ``samzoo list``.

    Returns:
        Its folder; None if there is none.
    """
    return (find_shipped(name) if _is_name(name) else None) or cache.find(name)


def _known_names(*, ask: bool) -> list[str]:
    """Return the names that a mistyped one may mean: shipped, pulled, or, to ``ask``, indexed."""
    names = [listed.name for listed in shipped()]
    names += [reference for package in cache.cached() for reference in package.references]
    for location in locations() if ask else ():
        with suppress(SamzooError):  # an index that fails is told by ``samzoo list``
            names += [entry.name for entry in read_index(location).models]
    return names


def _from_indexes(name: str) -> Path | None:
    """Return the package that was pulled by this name or that an index has, else None."""
    if not _is_name(name):
        return None
    found = cache.find(name)
    if found is None and locations() and find_entry(name) is not None:
        found = pull_from_index(name)
    return found


def remote_place(reference: str) -> Place | None:
    """Return where on the web a model is that is not on this computer yet.

    Args:
        reference: As in ``resolve``.

    Returns:
        Its place; None if it is here, if no index has it, or if its description cannot be had
        without all of it, as for BioImage.IO.

    Raises:
        SamzooError: A hub or an index cannot be asked.
    """
    if reference.startswith(HUB_PREFIX):
        parsed = parse_reference(reference)
        return hub_place(parsed)[0] if cache.find(str(parsed)) is None else None
    shipped_names = {listed.name for listed in shipped()}
    here = reference in shipped_names or (Path(reference) / MANIFEST_FILE).is_file()
    if here or not _is_name(reference) or cache.find(reference) is not None or not locations():
        return None
    entry = find_entry(reference)
    return None if entry is None else place_of(entry)


def _is_name(reference: str) -> bool:
    """Tell a name from a path."""
    return reference.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _from_hub(reference: str) -> Path:
    found = cache.find(str(parse_reference(reference)))
    return pull_from_hub(reference) if found is None else found


def _from_bioimageio(reference: str) -> Path:
    found = cache.find(canonical(reference))
    return pull_from_bioimageio(reference) if found is None else found


def load(
    reference: str | Path = DEFAULT_MODEL, *, threads: int | None = None, provider: str = CPU
) -> Model:
    """Open a model by name or folder.

    Args:
        reference: As in ``resolve``.
        threads: Number of CPU threads for one operator; by default all cores.
        provider: As in ``samzoo.runtime.load``.

    Returns:
        The model.

    Raises:
        InputError: ``threads`` is below 1, or there is no such provider.
        MissingDependencyError: This onnxruntime does not have the provider.
        NotFoundError: There is no such model.
        FormatError: Its manifest is damaged.
        SamzooError: The package holds adapters alone, and the package with their encoder could not
            be pulled.
    """
    folder = resolve(reference)
    base = pull_encoder(folder)
    return load_package(folder, base=base, threads=threads, provider=provider)
