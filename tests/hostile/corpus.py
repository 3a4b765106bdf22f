"""Hostile files, made from good ones with fixed seeds.

In: a good file's bytes. Out: damaged and lying versions of it by name.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

NESTED = "\0nested\0"
"""Stands for JSON of 700 levels, which the json module could not write."""

LIES: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 2**70, 10**30, 10**400, 1e308, 1e-300, "", "x" * 5000,
    "\x1b[2J", "../../etc/passwd", "/etc/passwd", "con", "a\0b", [], [[]], {}, {"a": 1},
    [1] * 3000, NESTED,
)  # fmt: skip


def damaged(good: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield what disks, networks and fuzzers do to any file."""
    rng = random.Random(seed)
    yield "empty", b""
    yield "zeros", bytes(max(1, len(good)))
    yield "noise", rng.randbytes(1000)
    yield "a web page", b"<!DOCTYPE html><title>Sign in</title>"
    yield "a pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    yield "more after it", good + rng.randbytes(50)
    yield "twice", good + good
    for part in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        yield f"cut at {part}", good[: int(len(good) * part)]
    for number in range(18):
        changed = bytearray(good)
        early = len(good) if number % 2 else min(len(good), 200)
        for _ in range(rng.choice((1, 1, 3, 20))):
            changed[rng.randrange(early)] = rng.choice((0, 255, 127, 128, rng.randrange(256)))
        yield f"bytes changed {number}", bytes(changed)
    for number in range(6):
        start = rng.randrange(len(good))
        end = min(len(good), start + rng.randrange(1, 40))
        yield f"bytes lost {number}", good[:start] + good[end:]
        yield f"bytes repeated {number}", good[:end] + good[start:]


def lying(good: bytes, seed: int, most: int = 60) -> Iterator[tuple[str, bytes]]:
    """Yield JSON in which one value is another, or one key is missing, new or there twice."""
    rng = random.Random(seed)
    value = json.loads(good)
    places = [*_places(value, ())]
    for number in range(most):
        place = rng.choice(places)
        lie = LIES[number % len(LIES)]
        yield (
            f"{'.'.join(map(str, place))} = {str(lie)[:20]!r} ({number})",
            _text(_with(value, place, lie)),
        )
    text = good.decode()
    yield "a key twice", text.replace("{", '{"a": 1, "a": 2, ', 1).encode()
    yield "an unknown key", text.replace("{", '{"unknown": 1, ', 1).encode()
    yield "NaN", text.replace(": 1", ": NaN", 1).encode()
    yield "deep", b"[" * 100_000
    yield "a list", b"[" + good + b"]"
    yield "another character set", text.encode("utf-16")


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list)
        else ()
    )  # fmt: skip
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _with(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copied = value.copy()
    copied[place[0]] = _with(value[place[0]], place[1:], new)
    return copied


def _text(value: Any) -> bytes:
    text = json.dumps(value)
    return text.replace(json.dumps(NESTED), '{"a":' * 700 + "1" + "}" * 700).encode()
