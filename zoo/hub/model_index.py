"""The index of a lab's own zoo: a static JSON file that lists packages with their hashes.

In: the indexes that ``SAMZOO_INDEX`` names. Out: their models, and packages pulled from them.
``docs/formats.md`` describes the format.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from samzoo.runtime.budgets import MAX_JSON_BYTES
from samzoo.runtime.errors import (
    FormatError,
    InputError,
    NotFoundError,
    SamzooError,
    shown,
    use_each,
)
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.fields import check_format, from_json, to_json
from samzoo.runtime.formats.files import sha256_of, write_json
from samzoo.runtime.formats.manifest import MANIFEST_FILE, Manifest, check_name
from samzoo.zoo.downloads.documents import read_object
from samzoo.zoo.downloads.retrieval import Place, pull_package
from samzoo.zoo.packages.shelf import shipped_index
from samzoo.zoo.packages.summary import AdapterSummary, Summary, summarise

FORMAT, VERSION = "samzoo-index", 1
VARIABLE = "SAMZOO_INDEX"
SEPARATOR = ";"
WEB = ("http", "https")


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """One model of an index.

    Attributes:
        name: The name to pass as ``--model``.
        manifest: URL of its ``samzoo.json``, absolute or relative to the index; the other files
            lie beside it.
        sha256: SHA-256 of ``samzoo.json``, 64 hex digits.
        summary: The row that ``samzoo list`` shows.
    """

    name: str
    manifest: str
    sha256: str
    summary: Summary


@dataclass(frozen=True)
class _Models:
    models: tuple[Any, ...]


@dataclass(frozen=True)
class Index:
    """What an index lists.

    Attributes:
        models: Its models; the URLs of their manifests are absolute.
        bad: What is wrong with each entry that cannot be used, by the name that it gives.
    """

    models: list[IndexEntry]
    bad: dict[str, str]


def locations() -> list[str]:
    """Return the URLs of the indexes in ``SAMZOO_INDEX``, then of samzoo's own, if there is one.

    Semicolons separate several in the variable:
    neither URLs nor paths usually have one; colons and spaces stand in many (own choice).

    Raises:
        InputError: A URL has a space, as where spaces separate several.
    """
    places = [each.strip() for each in os.environ.get(VARIABLE, "").split(SEPARATOR)]
    own = shipped_index()
    return [*(_as_url(each) for each in places if each), *([own.as_uri()] if own else [])]


def _as_url(place: str) -> str:
    if urlsplit(place).scheme in (*WEB, "file"):
        if " " in place:
            raise InputError(
                f"{VARIABLE}: {shown(place)}: a URL has no spaces; separate several by "
                f"{SEPARATOR!r}, and write a space in a URL as %20"
            )
        return place
    return Path(place).expanduser().resolve().as_uri()


def read_index(location: str) -> Index:
    """Read an index, each entry on its own: one that cannot be used leaves the others usable.

    Args:
        location: The index's URL.

    Raises:
        FormatError: The file is not an index, or has a newer format.
        NotFoundError: There is no such file.
        StorageError: The connection failed; it is tried once, since a command may have others.
    """
    value = read_object(location, limit=MAX_JSON_BYTES, quick=True)
    check_format(value, FORMAT, VERSION, where=location)
    value.pop("format")
    index = Index([], {})
    for number, listed in enumerate(from_json(_Models, value, where=location).models):
        given = listed.get("name") if isinstance(listed, Mapping) else None
        name = given if isinstance(given, str) else f"models[{number}]"
        try:
            if name in index.bad or name in {other.name for other in index.models}:
                raise FormatError(f"{location}: models: {shown(name)} is listed twice")
            index.models.append(_entry(listed, location, f"{location}: models[{number}]"))
        except FormatError as error:
            index.bad.setdefault(name, str(error))
    return index


def _entry(listed: Any, location: str, where: str) -> IndexEntry:
    """Check an entry; it must not lead from the web to a file of this computer."""
    entry = from_json(IndexEntry, listed, where=where)
    check_name(entry.name, f"{where}.name")
    rows: tuple[Summary | AdapterSummary, ...] = (entry.summary, *entry.summary.adapters)
    for summary in rows:
        for task, score in summary.scores.items():
            if not isinstance(score, int | float) or not -1e30 < score < 1e30:
                raise FormatError(
                    f"{where}.scores: {shown(task)}: expected a number, found {shown(score)}"
                )
    url = urljoin(location, entry.manifest)
    if urlsplit(location).scheme in WEB and urlsplit(url).scheme not in WEB:
        raise FormatError(f"{where}: {entry.name}: {shown(url)} is not on the web")
    if not url.endswith(f"/{MANIFEST_FILE}"):
        raise FormatError(f"{where}: {entry.name}: manifest: must end with /{MANIFEST_FILE}")
    return dataclasses.replace(entry, manifest=url)


def find_entry(name: str) -> IndexEntry | None:
    """Find a model by name in the indexes, in their order.

    Raises:
        SamzooError: No index has the model, and one cannot be read or describes it wrongly.
    """
    problem: SamzooError | None = None
    for location in locations():
        try:
            index = read_index(location)
        except SamzooError as error:
            problem = problem or error
            continue
        for entry in index.models:
            if entry.name == name:
                return entry
        if name in index.bad:
            problem = FormatError(index.bad[name])
    if problem is not None:
        raise problem
    return None


def pull_from_index(name: str, *, progress: Progress | None = None) -> Path:
    """Download a model into the cache by its name in an index.

    Args:
        name: The model's name.
        progress: As in ``pull_package``.

    Returns:
        The package's folder in the cache.

    Raises:
        NotFoundError: No index has the model.
        SamzooError: As for ``read_index`` and ``pull_package``.
    """
    entry = find_entry(name)
    if entry is None:
        where = ", ".join(locations()) or f"none; name one in {VARIABLE}"
        raise NotFoundError(f"{shown(name)}: in no index; looked in: {where}")
    return pull_package(place_of(entry), name, progress=progress)


def place_of(entry: IndexEntry) -> Place:
    """Return where the package of an entry is."""
    return Place(
        key=f"index--{entry.name}--{entry.sha256[:16]}",
        url=lambda path: urljoin(entry.manifest, quote(path)),
        manifest_sha256=entry.sha256,
    )


def write_index(packages: Sequence[Path], output: Path, *, url: str = "") -> list[str]:
    """Write an index of packages that lie below or beside it, or on the web.

    Args:
        packages: Package folders.
        output: The index to write, ``.json``.
        url: Address of the folder with the packages' folders; without it, the index names
            manifests relative to itself.

    Returns:
        The models' names.

    Raises:
        InputError: ``url`` is no address, two packages have one name, or several cannot be used;
            the message lists all.
        NotFoundError: A folder holds no package.
        FormatError: A manifest is damaged.
        StorageError: The file cannot be written.
    """

    def entry(folder: Path) -> IndexEntry:
        manifest = Manifest.read(folder)
        name = folder.resolve().name
        path = os.path.relpath((folder / MANIFEST_FILE).resolve(), output.resolve().parent)
        there = f"{url.rstrip('/')}/{quote(name)}/{MANIFEST_FILE}"
        return IndexEntry(
            name=manifest.name,
            manifest=there if url else quote(Path(path).as_posix()),
            sha256=sha256_of(folder / MANIFEST_FILE),
            summary=summarise(manifest),
        )

    if url and (urlsplit(url).scheme not in WEB or " " in url):
        raise InputError(
            f"url: found {shown(url)}, expected an address such as https://lab.org/zoo"
        )
    entries = use_each("packages", packages, entry)
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"two packages have the name {', '.join(twice)}; export one under another --name"
        )
    header = {"format": {"name": FORMAT, "version": VERSION}}
    write_json(output, {**header, "models": [to_json(entry) for entry in entries]})
    return names
