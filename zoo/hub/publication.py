"""Publication of a package on the Hugging Face Hub, or as a BioImage.IO zip.

In: a package folder and a destination. Out: what was published, and how to refer to it. Nothing
leaves this machine before the package has been verified and its card is complete.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import InputError, NotFoundError, OutputExistsError, StorageError, shown
from samzoo.runtime.formats.manifest import MANIFEST_FILE, Manifest
from samzoo.runtime.formats.outputs import check_output, replacing
from samzoo.zoo.cards.card import card_problems
from samzoo.zoo.downloads.downloadable import check_downloadable
from samzoo.zoo.packages.verification import verify

from .huggingface_hub import HUB_PREFIX, check_repository, endpoint

HUB, BIOIMAGEIO = "huggingface:", "bioimageio:"
KEPT = (".gitattributes",)
"""Files of a repository that the hub itself creates."""

_VERSION = re.compile(r"\d+\.\d+\.\d+")


def publish(
    folder: Path, to: str, *, version: str = "1.0.0", dry_run: bool = False, force: bool = False
) -> dict[str, Any]:
    """Publish a package.

    Args:
        folder: The package.
        to: ``huggingface:ORG/NAME`` or ``bioimageio:FILE.zip``.
        version: Three numbers; the tag is ``v`` and these. A version can only be published once.
        dry_run: Only check everything and say what would be done.
        force: Replace an existing zip.

    Returns:
        ``text`` and the other fields that the verb prints.

    Raises:
        InputError: The destination is unknown, the package does not verify, or its card lacks a
            field.
        NotFoundError: There is no package, or no access to the repository.
        OutputExistsError: The version is published already, or the zip exists.
        MissingDependencyError: huggingface_hub is not installed.
        StorageError: The connection or the disk failed; nothing was published.
    """
    if not to.startswith((HUB, BIOIMAGEIO)):
        raise InputError(f"--to: found {shown(to)}, allowed: {HUB}ORG/NAME or {BIOIMAGEIO}FILE.zip")
    if not _VERSION.fullmatch(version):
        raise InputError(f"--version: found {shown(version)}, allowed are three numbers: 1.0.0")
    report = verify(folder)
    if not report.ok:
        raise InputError("\n  ".join([f"{folder}: does not verify", *report.problems]))
    manifest = Manifest.read(folder)
    check_downloadable(manifest, where=str(folder / MANIFEST_FILE))
    if problems := card_problems(manifest):
        raise InputError("\n  ".join([f"{folder}: its card is not complete", *problems]))
    source = manifest.encoder_from
    if to.startswith(HUB) and source is not None and not source.reference.startswith(HUB_PREFIX):
        raise InputError(
            f"{folder}: encoder_from: found {shown(source.reference)}, which others cannot pull; "
            "publish that package first, then share the adapters with --over hf:ORG/NAME"
        )
    if to.startswith(BIOIMAGEIO):
        return _copy_zip(folder, Path(to.removeprefix(BIOIMAGEIO)), dry_run=dry_run, force=force)
    repository = check_repository(to.removeprefix(HUB), where=to)
    return _to_hub(folder, manifest, repository, f"v{version}", dry_run=dry_run)


def _copy_zip(folder: Path, output: Path, *, dry_run: bool, force: bool) -> dict[str, Any]:
    """Copy the package for automatic segmentation if there is one, else the one for prompts."""
    zips = sorted(folder.glob("bioimageio/*.zip"))
    if not zips:
        raise InputError(
            f"{folder}: holds no BioImage.IO package; export it again with --target bioimageio"
        )
    check_output(output, force=force, inputs=zips)
    if not dry_run:
        with replacing(output) as temporary:
            shutil.copyfile(zips[0], temporary)
    text = f"{output}: upload it at https://bioimage.io/#/upload"
    return {"text": text, "file": str(output), "source": str(zips[0]), "dry_run": dry_run}


def _to_hub(
    folder: Path, manifest: Manifest, repository: str, tag: str, *, dry_run: bool
) -> dict[str, Any]:
    hub = require("huggingface_hub", extra="hub")
    api = hub.HfApi(endpoint=endpoint(), token=os.environ.get("HF_TOKEN") or None)
    paths = [MANIFEST_FILE, *(entry.path for entry in manifest.files)]
    reference = f"hf:{repository}@{tag}"
    result = {"reference": reference, "files": paths, "dry_run": dry_run}
    try:
        head, there = _state(hub, api, repository, tag)
        if dry_run:
            sizes = {path: (folder / path).stat().st_size for path in paths}
            lines = [f"  {path}  {size} bytes" for path, size in sizes.items()]
            text = f"{reference}: {len(paths)} files would be published, and nothing else:"
            return {**result, "sizes": sizes, "text": "\n".join([text, *lines])}
        if head is None:
            api.create_repo(repository, repo_type="model", exist_ok=True)
            head, there = _state(hub, api, repository, tag)
        operations = [
            hub.CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(folder / path))
            for path in paths
        ]
        operations += [
            hub.CommitOperationDelete(path_in_repo=path)
            for path in sorted(there - set(paths) - set(KEPT))
        ]
        commit = api.create_commit(
            repository, operations, commit_message=f"{manifest.name} {tag}", parent_commit=head
        )
        api.create_tag(repository, tag=tag, revision=commit.oid)
    except hub.errors.HfHubHTTPError as error:
        raise _refused(repository, error) from error
    except (OSError, ConnectionError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{repository}: no connection to {endpoint()} ({error})") from error
    except RuntimeError as error:  # how huggingface_hub tells of a file that it could not upload
        if error.__cause__ is None:
            raise
        reason = f"{error} {error.__cause__}"
        raise StorageError(f"{repository}: the upload failed ({reason}); try again") from error
    return {**result, "text": reference, "commit": commit.oid}


def _state(hub: Any, api: Any, repository: str, tag: str) -> tuple[str | None, set[str]]:
    """Return the repository's head and files; the head is None if there is no repository yet."""
    try:
        refs = api.list_repo_refs(repository)
    except hub.errors.RepositoryNotFoundError:
        return None, set()
    if tag in {known.name for known in refs.tags}:
        raise OutputExistsError(
            f"{repository}: {tag} is published already; choose another --version, published ones "
            "stay as they are"
        )
    info = api.model_info(repository)
    return info.sha, {file.rfilename for file in info.siblings or []}


def _refused(repository: str, error: Any) -> Exception:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403, 404):
        return NotFoundError(
            f"{repository}: no access to write there (HTTP {status}); set HF_TOKEN to a token with "
            "write access, and check the name"
        )
    if status == 412:
        return StorageError(
            f"{repository}: somebody else published meanwhile; check the repository and try again"
        )
    return StorageError(f"{repository}: the hub refused (HTTP {status}); nothing was published")
