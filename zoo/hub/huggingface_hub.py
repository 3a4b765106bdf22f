"""Downloads from the Hugging Face Hub by ``hf:ORG/NAME[@REVISION]``, without huggingface_hub.

In: a reference. Out: the package in the cache, pinned by commit.
``docs/decisions/0014-own-download-client.md`` says why this does not use huggingface_hub.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from samzoo.runtime.budgets import MAX_JSON_BYTES
from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.formats.arrays import Progress
from samzoo.zoo.downloads import cache
from samzoo.zoo.downloads.documents import read_object
from samzoo.zoo.downloads.retrieval import Place, pull_package

HUB_PREFIX = "hf:"
"""How a reference to the Hugging Face Hub starts."""

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(f"{_PART}/{_PART}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_COMMIT = re.compile("[0-9a-f]{40}")


class HubReference(NamedTuple):
    """A model on the hub.

    Attributes:
        repository: ``ORG/NAME``.
        revision: A branch, a tag or a commit.
    """

    repository: str
    revision: str

    def __str__(self) -> str:
        return f"{HUB_PREFIX}{self.repository}@{self.revision}"


def endpoint() -> str:
    """Return the hub's address: ``HF_ENDPOINT``, or huggingface.co.

    Raises:
        InputError: ``HF_ENDPOINT`` is no address on the web.
    """
    found = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if not found.startswith(("https://", "http://")):
        raise InputError(
            f"environment variable HF_ENDPOINT: expected an address such as https://hf-mirror.com, "
            f"found {shown(found)}"
        )
    return found.rstrip("/")


def check_repository(repository: str, *, where: str) -> str:
    """Check a repository's name and return it.

    Raises:
        InputError: The name does not have the form ``ORG/NAME``.
    """
    odd = "--" in repository or ".." in repository or not _REPOSITORY.fullmatch(repository)
    if odd:
        raise InputError(
            f"{shown(where)}: expected ORG/NAME with letters, digits and ._- (not two in a row)"
        )
    return repository


def parse_reference(reference: str) -> HubReference:
    """Read ``hf:ORG/NAME[@REVISION]``; the default revision is ``main``.

    Raises:
        InputError: The reference does not have this form.

    Example:
        >>> parse_reference("hf:lab/nuclei@v1.0.0")
        HubReference(repository='lab/nuclei', revision='v1.0.0')
    """
    repository, at, revision = reference.removeprefix(HUB_PREFIX).partition("@")
    check_repository(repository, where=reference)
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise InputError(f"{shown(reference)}: expected a branch, a tag or a commit after the @")
    return HubReference(repository, revision or "main")


def pull_from_hub(reference: str, *, progress: Progress | None = None) -> Path:
    """Download a model from the hub into the cache, at the commit that its revision has now.

    Args:
        reference: ``hf:ORG/NAME[@REVISION]``.
        progress: As in ``pull_package``.

    Returns:
        The package's folder in the cache.

    Raises:
        InputError: The reference does not have this form.
        NotFoundError: The hub has no such model, or it is not a samzoo package.
        FormatError: The hub's answer, the manifest or a file is damaged or malformed.
        StorageError: The connection or the disk failed.
    """
    parsed = parse_reference(reference)
    place, pinned_reference = hub_place(parsed)
    folder = pull_package(place, str(pinned_reference), progress=progress)
    cache.remember(str(parsed), place.key)
    return folder


def hub_place(reference: HubReference) -> tuple[Place, HubReference]:
    """Return where a package is at the commit that its revision has now, and that commit.

    Raises:
        SamzooError: As for ``pull_from_hub``.
    """
    token = os.environ.get("HF_TOKEN", "")
    commit = _commit(reference, token)
    address = f"{endpoint()}/{reference.repository}/resolve/{commit}"
    place = Place(
        key=f"hf--{reference.repository.replace('/', '--')}--{commit}",
        url=lambda path: f"{address}/{quote(path)}",
        token=token,
    )
    return place, HubReference(reference.repository, commit)


def pinned(reference: str, folder: Path) -> str:
    """Replace the branch or tag in a reference by the commit that was pulled.

    Args:
        reference: ``hf:ORG/NAME[@REVISION]``.
        folder: The package in the cache that the reference led to.
    """
    repository = parse_reference(reference).repository
    return str(HubReference(repository, folder.name.rpartition("--")[2]))


def _commit(reference: HubReference, token: str) -> str:
    """Ask the hub for the commit of a branch or tag; return a commit as it is."""
    if _COMMIT.fullmatch(reference.revision):
        return reference.revision
    url = (
        f"{endpoint()}/api/models/{reference.repository}/revision/"
        f"{quote(reference.revision, safe='')}"
    )
    commit = read_object(url, limit=MAX_JSON_BYTES, token=token).get("sha")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise FormatError(f"{url}: sha: expected a commit of 40 hex digits, found {shown(commit)}")
    return commit
