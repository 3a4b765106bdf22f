"""The finetuned models that a ``Model`` switches between, and which of them is in use.

In: configs and networks by adapter name. Out: the pair in use. It is read and replaced as a whole,
so that no thread sees the config of one and the networks of another.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec, Self, TypeVar

from samzoo.runtime.errors import InputError, shown
from samzoo.runtime.formats.config import ModelConfig

from .model_spec import ModelSpec
from .networks import Networks
from .object_scale import at_diameter

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Switchable")


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


class Switchable:
    """The switch between several finetuned models over one encoder.

    Args:
        variants: The models.
        spec: The package that they were opened from, so that workers can open it too.
    """

    def __init__(self, variants: Variants, spec: ModelSpec | None = None) -> None:
        self._variants, self._spec = variants, spec
        self._objects: float | None = None

    @property
    def config(self) -> ModelConfig:
        """The config of the model in use."""
        return self._variants.current.config

    @property
    def networks(self) -> Networks:
        """The networks of the model in use."""
        return self._variants.current.networks

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names that ``use`` takes; empty if the package holds one model."""
        return self._variants.names

    @property
    def adapter(self) -> str | None:
        """Name of the adapter in use; None if the package holds one model."""
        return self._variants.current.adapter

    @property
    def spec(self) -> ModelSpec | None:
        """How another process opens this model; None if it was not opened from a package."""
        return self._spec and dataclasses.replace(self._spec, adapter=self.adapter)

    @property
    def diameter(self) -> float | None:
        """The diameter that ``for_objects`` was given; None at the model's own scale."""
        return self._objects

    def use(self, adapter: str) -> None:
        """Switch to another finetuned model over the same encoder, at once.

        The adapter's factors are read and checked when the first image is embedded, its decoders
        when they are first needed. Calls that run in other threads end with the adapter with which
        they began. Embeddings belong to the adapter that computed them; other adapters refuse
        them.

        Args:
            adapter: One of ``adapters``.

        Raises:
            InputError: There is no adapter of that name.
        """
        self._variants.use(adapter)

    def snapshot(self) -> Self:
        """Return the model with the adapter in use now; a later ``use`` does not change it.

        Returns:
            A model over the same networks; this model itself if it has no adapters to switch.
        """
        if not self.adapters:
            return self
        fixed = copy.copy(self)
        fixed._variants = Variants(self._variants.current, {})
        return fixed

    def for_objects(self, diameter: float | None) -> Self:
        """Return the model for an image whose objects have another size.

        Args:
            diameter: Diameter of the median object in image pixels, as the circle of its area.
                None returns the model as it is.

        Returns:
            A model over the same networks, with the adapter in use now. It sees images at the scale
            at which their objects have the size of those that it was trained on.

        Raises:
            InputError: The diameter is out of range, or the model does not say how large the
                objects were that it was trained on.
        """
        if diameter is None:
            return self
        current = self._variants.current
        sized = copy.copy(self)
        changed = current._replace(config=at_diameter(current.config, diameter))
        sized._variants = Variants(changed, {})
        sized._objects = diameter
        sized._spec = self._spec and dataclasses.replace(self._spec, diameter=diameter)
        return sized


def with_one_adapter(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let a call end with the adapter with which it began, even if ``use`` switches meanwhile."""

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(self.snapshot(), *args, **kwargs)

    return call
