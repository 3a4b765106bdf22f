"""Checked look-ups among the shapes of a file's tensors.

In: tensors by name. Out: a shape of the expected form, or an error that names the tensor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from samzoo.runtime.errors import FormatError, shown


@dataclass(frozen=True)
class ShapeReader:
    """The shapes of a file's tensors, with checked look-ups.

    ``where`` is the file, ``supported`` what networks there are, both for messages.
    """

    tensors: Mapping[str, Any]
    where: str
    supported: str

    def of(self, name: str, *expected: int | None) -> tuple[int, ...]:
        """Return a tensor's shape; None in ``expected`` allows any size of at least 1."""
        if name not in self.tensors:
            raise FormatError(f"{self.where}: lacks the tensor {shown(name)}; {self.supported}")
        shape = tuple(int(size) for size in self.tensors[name].shape)
        allowed = "(" + ", ".join("any" if size is None else str(size) for size in expected) + ")"
        if len(shape) != len(expected) or any(
            size < 1 or size != (want or size) for size, want in zip(shape, expected, strict=True)
        ):
            self.refuse(name, f"shape {shape}", f"the shape {allowed}")
        return shape

    def refuse(self, name: str, found: str, allowed: str) -> NoReturn:
        """Raise a ``FormatError`` that says what a tensor has, and what is allowed."""
        raise FormatError(
            f"{self.where}: tensor {shown(name)}: found {found}, allowed is {allowed}"
        )

    def count(self, prefix: str) -> int:
        """Count the numbered children of a module list; they must be 0, 1, 2 and so on."""
        found = {
            name[len(prefix) :].split(".", 1)[0] for name in self.tensors if name.startswith(prefix)
        }
        for index in range(len(found)):
            if str(index) not in found:
                example = shown(prefix + min(found), limit=80)
                raise FormatError(
                    f"{self.where}: lacks {prefix}{index}.* although there is {example}; "
                    f"{self.supported}"
                )
        if not found:
            raise FormatError(f"{self.where}: lacks {prefix}0.*; {self.supported}")
        return len(found)


def ratio_of(hidden: int, width: int) -> float:
    """Return the ratio whose product with the width, cut to a whole number, is ``hidden``.

    >>> int(49 * (1 / 49)), int(49 * ratio_of(1, 49))
    (0, 1)
    """
    ratio = hidden / width
    return ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)
