"""The finetuned models that a ``Model`` switches between, and which of them is in use.

In: configs and networks by adapter name. Out: the pair in use. It is read and replaced as a whole,
so that no thread sees the config of one and the networks of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from samzoo.runtime.errors import InputError, shown
from samzoo.runtime.formats.config import ModelConfig

from .networks import Networks


class Variant(NamedTuple):
    """One finetuned model."""

    config: ModelConfig
    networks: Networks
    adapter: str | None = None


class Variants:
    """All variants of a package, and the one in use.

    Args:
        first: The variant in use at the beginning.
        others: The variants to switch to, by adapter name. ``first`` is one of them, or the only
            one.
    """

    def __init__(self, first: Variant, others: Mapping[str, Variant]) -> None:
        self.names = tuple(others)
        self._variants = dict(others)
        self.current = first

    def use(self, adapter: str) -> None:
        """Switch to the variant of an adapter.

        Raises:
            InputError: There is no adapter of that name.
        """
        if adapter not in self._variants:
            known = ", ".join(self.names)
            allowed = f"this package has: {known}" if known else "this package holds one model only"
            raise InputError(f"adapter: found {shown(adapter)}, {allowed}")
        self.current = self._variants[adapter]
