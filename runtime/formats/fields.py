"""Dataclasses to JSON and back, with every key and value checked.

In: JSON text from a stranger, or an object of it and a frozen dataclass. Out: plain values, or an
instance, or an error that names file and field. Every config and manifest is read this way.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from samzoo.runtime.budgets import MAX_INTEGER, MAX_JSON_DEPTH
from samzoo.runtime.dependencies import upgrade_advice
from samzoo.runtime.errors import FormatError, did_you_mean, shown

KINDS = "kinds"
"""Key in the metadata of a dataclass's field: a function that lists the dataclasses which its value
may have, for a field whose type is their base class."""


IF_SET = "if set"
"""Key in the metadata of a dataclass's field: it is written only where it differs from its default,
so that files without it stay as they are and older versions read them."""


def parse_json(text: str | bytes, *, where: str, kind: str = "JSON") -> Any:
    """Parse JSON that a stranger may have written.

    Args:
        text: The text; as bytes it is UTF-8.
        where: The file, which begins each message.
        kind: What the text should be, for messages.

    Returns:
        Plain values; all numbers are finite.

    Raises:
        FormatError: The text is not JSON, repeats a key, nests too deeply, or has a number that is
            too large.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise FormatError(f"{where}: not a {kind} file ({problem})") from error
    check_values(value, where=where)
    return value


def check_values(value: Any, *, where: str) -> None:
    """Refuse values that nest deeply, and numbers that no field has.

    Most of what reads values calls itself for each level; what reads numbers makes floats of them.

    Raises:
        FormatError: More than ``MAX_JSON_DEPTH`` objects and lists lie inside of each other, or a
            number is infinite, NaN or too large; the message names the field.
    """
    left: list[tuple[str, int, Any]] = [("", 0, value)]
    while left:
        field, depth, each = left.pop()
        if isinstance(each, dict):
            inside = [(f"{field}.{key}" if field else str(key), item) for key, item in each.items()]
        elif isinstance(each, list):
            inside = [(f"{field}[{number}]", item) for number, item in enumerate(each)]
        else:
            large = isinstance(each, int) and abs(each) > MAX_INTEGER
            if large or (isinstance(each, float) and not math.isfinite(each)):
                raise FormatError(
                    f"{where}: {field}: expected a finite number, found {shown(each, limit=40)}"
                )
            continue
        if depth == MAX_JSON_DEPTH:
            raise FormatError(
                f"{where}: {shown(field, limit=60)}: nested more than {MAX_JSON_DEPTH} deep"
            )
        left += [(name, depth + 1, item) for name, item in inside]


def unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, for ``object_pairs_hook``; the json module keeps a key's last value.

    Raises:
        ValueError: A key stands there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} stands in one object twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def check_format(value: Mapping[str, Any], name: str, version: int, *, where: str) -> None:
    """Check the ``format`` field of a config or manifest.

    Raises:
        FormatError: Another format, or a version this samzoo cannot read.
    """
    found = value.get("format")
    if not isinstance(found, Mapping) or found.get("name") != name:
        raise FormatError(f"{where}: format: expected {name!r}, found {shown(found)}")
    number = found.get("version")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise FormatError(f"{where}: format.version: expected a number, found {shown(number)}")
    if number > version:
        raise FormatError(
            f"{where}: format.version is {number}, this samzoo reads up to {version}; "
            f"{upgrade_advice()}"
        )


def to_json(value: Any) -> Any:
    """Turn (nested) dataclasses into JSON values; tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: to_json(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if IF_SET not in f.metadata or getattr(value, f.name) != f.default
        }
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


T = TypeVar("T")


def from_json(kind: type[T], value: Any, *, where: str) -> T:
    """Build a dataclass from a JSON object; unknown keys and wrong types are errors.

    Raises:
        FormatError: Names the file, the field, what was found and what is allowed.
    """
    result: T = _parse(kind, value, where)
    return result


def check_types(value: Any, *, where: str) -> None:
    """Check the fields of a dataclass that was built in Python, as those of a file are checked.

    For the ``__post_init__`` of dataclasses that people build by hand.

    Args:
        value: An instance.
        where: What its fields belong to, for messages.

    Raises:
        FormatError: Names the field, what was found and what is allowed.
    """
    for name, kind in typing.get_type_hints(type(value)).items():
        _parse(kind, getattr(value, name), f"{where}.{name}")


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _parse_union(get_args(kind), value, where)
    if origin is Literal:
        if value not in get_args(kind):
            allowed = ", ".join(repr(choice) for choice in get_args(kind))
            raise FormatError(f"{where}: found {shown(value)}, allowed: {allowed}")
        return value
    if origin is tuple:
        return _parse_tuple(get_args(kind), value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise FormatError(f"{where}: expected an object, found {shown(value)}")
        return dict(value)
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 10**30 else float("inf")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise FormatError(f"{where}: expected {kind.__name__}, found {shown(value)}")
    if kind is float and not -1e30 < value < 1e30:  # also false for NaN
        raise FormatError(f"{where}: expected a finite number, found {value}")
    return value


def _parse_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    null = type(None) in kinds
    if value is None and null:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return _parse(kinds[0], value, where)
    if not all(dataclasses.is_dataclass(kind) for kind in kinds):
        return _parse_choice(kinds, value, where, null=null)
    return _parse_typed(kinds, value, where)


def _parse_typed(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """Build one of several dataclasses; each has a ``type`` field with one allowed value."""
    by_type = {get_args(typing.get_type_hints(kind)["type"])[0]: kind for kind in kinds}
    found = value.get("type") if isinstance(value, Mapping) else None
    if found not in by_type:
        raise FormatError(f"{where}.type: found {shown(found)}, allowed: {', '.join(by_type)}")
    return _parse(by_type[found], value, where)


def _parse_choice(kinds: tuple[Any, ...], value: Any, where: str, *, null: bool) -> Any:
    """Take the first of several kinds, such as a word or a number, that a value fits."""
    for kind in kinds:
        try:
            return _parse(kind, value, where)
        except FormatError:
            continue
    allowed = [*(["null"] if null else []), *(_described(kind) for kind in kinds)]
    raise FormatError(f"{where}: found {shown(value)}, allowed: {', '.join(allowed)}")


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(repr(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list of {_described(get_args(kind)[0])}"
    return "a finite number" if kind is float else str(kind.__name__)


def _parse_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise FormatError(f"{where}: expected a list, found {shown(value)}")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise FormatError(f"{where}: expected {len(kinds)} numbers, found {len(value)}")
    return tuple(
        _parse(kind, item, f"{where}[{index}]")
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise FormatError(f"{where}: expected an object, found {shown(value)}")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        allowed = ", ".join(sorted(hints)) or "none"
        raise FormatError(
            f"{where}: unknown key {shown(unknown[0])}, allowed: {allowed}"
            f"{did_you_mean(unknown[0], hints)}"
        )
    tables = {f.name: f.metadata[KINDS] for f in dataclasses.fields(kind) if KINDS in f.metadata}
    arguments = {}
    for name, item in value.items():
        inner = f"{where}: {name}" if ": " not in where else f"{where}.{name}"
        if name in tables:
            arguments[name] = _parse_typed(tables[name](), item, inner)
        else:
            arguments[name] = _parse(hints[name], item, inner)
    try:
        return kind(**arguments)
    except TypeError as error:
        raise FormatError(f"{where}: {error}") from error
    except FormatError as error:
        raise FormatError(f"{where.split(': ')[0]}: {error}") from error
