"""The JSON schema of ``samzoo.json``, made from the dataclasses that read it.

In: nothing. Out: a schema of draft 2020-12. It is ``docs/samzoo-package.schema.json``, so that
other tools can check a package without samzoo. A test compares file and classes.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from samzoo.runtime.formats import digest, manifest
from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.runtime.formats.families.table import config_classes
from samzoo.runtime.formats.manifest import PACKAGE_FORMAT, PACKAGE_VERSION, Manifest

DRAFT = "https://json-schema.org/draft/2020-12/schema"
SHA256 = {"type": "string", "pattern": f"^{digest.SHA256}$"}
DIGEST = {"type": "string", "pattern": f"^{digest.PREFIX}{digest.SHA256}$"}
NAME = {"type": "string", "pattern": f"^{manifest.NAME}$"}
PATH = {
    "type": "string", "maxLength": 255,
    # Plain names; a name of only dots and spaces is not allowed.
    "pattern": r"^(?![. ]+(/|$))[A-Za-z0-9._ +-]+(/(?![. ]+(/|$))[A-Za-z0-9._ +-]+)*$",
}  # fmt: skip

KNOWN: dict[str, dict[str, Any]] = {
    "FileEntry.sha256": SHA256,
    "FileEntry.size": {"type": "integer", "minimum": 0},
    "FileEntry.path": PATH,
    "CardPicture.path": PATH,
    "Manifest.name": NAME,
    "AdapterEntry.name": NAME,
    "Manifest.precision": {"enum": [*manifest.PRECISIONS]},
}  # fmt: skip
"""Rules that the types do not express, by class and field."""


def package_schema() -> dict[str, Any]:
    """Return the schema of a manifest of the newest version; version 1 has no adapters."""
    definitions: dict[str, Any] = {}
    manifest = _object(Manifest, definitions)
    header = {
        "type": "object",
        "properties": {
            "name": {"const": PACKAGE_FORMAT},
            "version": {"type": "integer", "minimum": 1, "maximum": PACKAGE_VERSION},
        },
        "required": ["name", "version"],
        "additionalProperties": False,
    }
    properties = {"format": header, **manifest["properties"], "digest": DIGEST}
    return {
        "$schema": DRAFT,
        "title": "samzoo.json, the manifest of a samzoo package",
        "type": "object",
        "properties": properties,
        "required": ["format", *manifest["required"]],
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def _object(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    fields = {
        field.name: KNOWN.get(f"{kind.__name__}.{field.name}")
        or _schema(hints[field.name], definitions)
        for field in dataclasses.fields(kind)
    }
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    plain = {str: "string", bool: "boolean", int: "integer", float: "number"}
    if kind is Any:
        return {}
    if kind in plain:
        return {"type": plain[kind]}
    if kind is type(None):
        return {"type": "null"}
    if kind is EncoderConfig:  # what all families share; a manifest holds one of them
        return {"anyOf": [_schema(one, definitions) for one in config_classes()]}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(one, definitions) for one in arguments]}
    if origin is tuple:
        return _tuple(arguments, definitions)
    if origin in (dict, Mapping):
        values = _schema(arguments[1], definitions)
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # before its fields, which may hold it again
            definitions[kind.__name__] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    raise TypeError(f"no schema for {kind}")


def _tuple(arguments: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    return {
        "type": "array",
        "prefixItems": [_schema(one, definitions) for one in arguments],
        "minItems": len(arguments),
        "maxItems": len(arguments),
    }


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(package_schema(), indent=2) + "\n")
