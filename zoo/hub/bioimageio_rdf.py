"""The parts of a BioImage.IO model's description, ``rdf.yaml``, that a pull needs.

In: the file's bytes, from a stranger. Out: the files that hold a SAM, with their hashes.
Source of the fields: bioimageio.spec 0.5.12, ``model/v0_5.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.digest import SHA256
from samzoo.runtime.formats.manifest import check_relative

MAX_RDF_BYTES = 2**20
"""Largest description; real ones have some 20 kB (own choice)."""

MAX_DEPTH = 50
"""Largest depth of the YAML; the reader's time grows with its square (own choice)."""

STATE_DICT = "pytorch_state_dict"
DECODER_ENDING = "_decoder.pt"
"""End of micro-sam's name for the attachment with its AIS decoder."""

PACKAGE_ENDING = ".samzoo.zip"
"""End of samzoo's name for the attachment with its own package."""


@dataclass(frozen=True)
class RdfFile:
    """A file that the description names.

    Attributes:
        path: The file's plain name, beside the description.
        sha256: The file's sha256, 64 hex digits.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class Rdf:
    """A model's description.

    Attributes:
        name: The authors' name for the model.
        license: SPDX identifier, or empty.
        package: samzoo's own package, if it is attached; it is all that a pull needs.
        weights: The state dict; None only beside a package.
        architecture: File name and sha256 of the model's code, for messages; it is never read.
        decoder: micro-sam's AIS decoder, if it is attached.
    """

    name: str
    license: str
    package: RdfFile | None
    weights: RdfFile | None
    architecture: str
    decoder: RdfFile | None


def read_rdf(data: bytes, *, where: str) -> Rdf:
    """Read a description.

    Args:
        data: The YAML.
        where: The start of every message.

    Raises:
        FormatError: The data are not YAML, have aliases, do not describe a model of spec 0.5, or
            name neither a state dict nor samzoo's own package.
        MissingDependencyError: The YAML reader is not installed.
    """
    value = _mapping(load_yaml(data, where=where), where, "the description")
    version = str(value.get("format_version", ""))
    if value.get("type") != "model" or not version.startswith("0.5."):
        raise FormatError(
            f"{where}: found type {shown(value.get('type'))} of format_version {shown(version)}, "
            "allowed is a model of 0.5; update it with: bioimageio update-format"
        )
    name = str(value.get("name", ""))[:128]
    declared = value["license"] if isinstance(value.get("license"), str) else ""
    if (package := _attachment(value, PACKAGE_ENDING, where)) is not None:
        return Rdf(name, declared, package, None, "", None)
    entry = _state_dict(value, where)
    return Rdf(
        name=name,
        license=declared,
        package=None,
        weights=_file(entry, where, STATE_DICT),
        architecture=_architecture(entry.get("architecture")),
        decoder=_attachment(value, DECODER_ENDING, where),
    )


def _state_dict(value: Mapping[Any, Any], where: str) -> Mapping[Any, Any]:
    weights = _mapping(value.get("weights"), where, "weights")
    if STATE_DICT in weights:
        return _mapping(weights[STATE_DICT], where, STATE_DICT)
    kinds = ", ".join(shown(kind, limit=40) for kind in list(weights)[:8]) or "nothing"
    config = value.get("config")
    if isinstance(config, Mapping) and "samzoo" in config:
        raise FormatError(
            f"{where}: attachments: none ends with {PACKAGE_ENDING}. An older samzoo wrote this "
            "file, and left its package out; export the model again, with --target bioimageio"
        )
    raise FormatError(
        f"{where}: weights: found {kinds}, missing is a SAM's {STATE_DICT}, from which samzoo "
        f"makes its own graphs, or an attached samzoo package (*{PACKAGE_ENDING}). Run this "
        "package with bioimageio.core, or ask its authors for either"
    )


def _attachment(value: Mapping[Any, Any], ending: str, where: str) -> RdfFile | None:
    """Find the attachment whose name has an ending."""
    attachments = value.get("attachments") or []
    found = [
        _file(each, where, "attachments")
        for each in (attachments if isinstance(attachments, list) else [])
        if isinstance(each, Mapping) and str(each.get("source", "")).endswith(ending)
    ]
    if len(found) > 1:
        raise FormatError(f"{where}: attachments: several end with {ending}, allowed is 1")
    return found[0] if found else None


def load_yaml(data: bytes, *, where: str) -> Any:
    """Parse YAML into plain values.

    Raises:
        FormatError: The data are too large, are not YAML, or have aliases, which can grow without
            bound.
        MissingDependencyError: ruyaml is not installed.
    """
    if len(data) > MAX_RDF_BYTES:
        raise FormatError(f"{where}: found {len(data)} bytes, allowed are {MAX_RDF_BYTES}")
    ruyaml = require("ruyaml", extra="bioimageio")
    try:
        depth = 0
        for event in ruyaml.YAML(typ="safe", pure=True).parse(data):
            if isinstance(event, ruyaml.events.AliasEvent):
                raise FormatError(
                    f"{where}: has a YAML alias, {shown(event.anchor)}; none are allowed, write "
                    "the value out"
                )
            depth += isinstance(event, ruyaml.events.CollectionStartEvent)
            depth -= isinstance(event, ruyaml.events.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise FormatError(f"{where}: nested more than {MAX_DEPTH} deep; none need that")
        return ruyaml.YAML(typ="safe", pure=True).load(data)
    except FormatError:
        raise
    except (ruyaml.error.YAMLError, ValueError, LookupError, TypeError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise FormatError(f"{where}: not a usable YAML file ({problem[:200]})") from error


def _mapping(value: Any, where: str, name: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{where}: {name}: expected a mapping, found {type(value).__name__}")
    return value


def _file(entry: Mapping[Any, Any], where: str, name: str) -> RdfFile:
    source, sha256 = entry.get("source"), entry.get("sha256")
    if not isinstance(source, str):
        raise FormatError(f"{where}: {name}: source: expected a file name, found {shown(source)}")
    check_relative(source, where=f"{where}: {name}: source")
    if not isinstance(sha256, str) or not re.fullmatch(SHA256, sha256):
        raise FormatError(
            f"{where}: {name}: sha256: found {shown(sha256)}, expected 64 lower-case hex digits"
        )
    return RdfFile(source, sha256)


def _architecture(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "no architecture file"
    if "source" not in value:
        return f"the architecture {shown(value.get('import_from'))}"
    return f"the architecture file {shown(value['source'])} (sha256 {shown(value.get('sha256'))})"
