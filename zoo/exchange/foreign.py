"""Another tool's adapter in memory, and the checks that turn it into an adapter of ours.

In: a base, and tensors that a format's module has renamed. Out: an ``AdapterConfig`` and its
tensors, complete and of the base's shapes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from samzoo.runtime.errors import FormatError, WrongBaseError, shown
from samzoo.runtime.formats.adapter import AdapterConfig
from samzoo.runtime.formats.arrays import Array, Tensors
from samzoo.runtime.formats.config import AisParameters, Preprocessing
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.runtime.formats.shapes import is_statistic, tensor_shapes
from samzoo.runtime.formats.tensor_files import check_finite, check_names
from samzoo.training.methods import get_method
from samzoo.zoo.checkpoints.base import Base, as_float32


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """Another tool's adapter, by our names.

    Attributes:
        method: Name of a row of ``METHODS``.
        hyperparameters: The hyperparameters that the file holds; the others keep their defaults.
        tensors: The encoder's delta, prompt encoder, mask decoder, AIS decoder.
        ais_decoder: Config of the AIS decoder, or None.
        notes: What the file does not say, and what was used instead, in sentences for a person.
        preprocessing: The file's preprocessing; None stands for the base's.
        ais: The file's thresholds; None stands for the base's.
        point_output: Which mask answers a point; None stands for the base's choice.
        source: Provenance for the config.
    """

    method: str
    hyperparameters: dict[str, Any]
    tensors: Tensors
    ais_decoder: Any = None
    notes: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    ais: AisParameters | None = None
    point_output: Literal["multimask", "single"] | None = None
    source: dict[str, Any] = field(default_factory=dict)


def completed(foreign: Foreign, base: Base, *, where: str) -> tuple[AdapterConfig, Tensors]:
    """Make a complete adapter and check all of it against the base.

    Args:
        foreign: The other tool's adapter.
        base: The base it belongs to.
        where: The file, for messages.

    Returns:
        The config and the tensors. Writing the adapter fills in ``adapter_digest``.

    Raises:
        FormatError: A hyperparameter is unknown, a tensor is missing or unknown, a shape does not
            fit the base, or a value is not finite.
    """
    tensors = {name: as_float32(value) for name, value in foreign.tensors.items()}
    method = get_method(foreign.method)
    base_architecture = base.config.architecture
    settings = method.settings(foreign.hyperparameters, where=where)
    try:
        settings = method.resolved(settings, base_architecture)
        architecture = method.extended(base_architecture, settings)
    except FormatError as error:
        raise FormatError(f"{where}: {error}") from error
    point_output = foreign.point_output or architecture.mask_decoder.point_output
    config = AdapterConfig(
        method=foreign.method,
        hyperparameters=to_json(settings),
        base_digest=base.config.weights_digest,
        base_path=str(base.folder.resolve()),
        architecture=dataclasses.replace(
            architecture,
            ais_decoder=foreign.ais_decoder,
            mask_decoder=dataclasses.replace(architecture.mask_decoder, point_output=point_output),
        ),
        preprocessing=foreign.preprocessing or base.config.preprocessing,
        ais=foreign.ais or base.config.ais,
        source={
            "base": base.config.source,
            **foreign.source,
            **({"notes": list(foreign.notes)} if foreign.notes else {}),
        },
    )
    check_adapter(config, tensors, base, where=where)
    return config, tensors


def check_adapter(config: AdapterConfig, tensors: Tensors, base: Base, *, where: str) -> None:
    """Check an adapter's tensors against its method and its base.

    Raises:
        FormatError: A tensor is missing, unknown, of another shape, or not finite.
    """
    encoder = base.part(ENCODER_PREFIX)
    delta = {name: value for name, value in tensors.items() if name.startswith(ENCODER_PREFIX)}
    rest = {name: value for name, value in tensors.items() if not name.startswith(ENCODER_PREFIX)}
    check_finite(tensors, where=where)
    method = get_method(config.method)
    settings = method.settings(config.hyperparameters, where=where)
    try:
        method.check_delta(encoder, delta, base.config.architecture, settings)
        if not method.folds:  # its own check
            method.fold(encoder, delta, config.architecture, settings)
    except FormatError as error:
        raise FormatError(
            f"{where}: {error}; the file is incomplete, or belongs to another base or method"
        ) from error
    shapes = tensor_shapes(config.architecture)
    expected = {
        name: shape for name, shape in shapes.items() if not name.startswith(ENCODER_PREFIX)
    }
    check_names_and_shapes(rest, expected, where=where)


def check_names_and_shapes(
    tensors: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], *, where: str
) -> None:
    """Refuse missing and extra tensors, and wrong shapes.

    Raises:
        FormatError: The message names the first of them.
    """
    ending = "); the file is incomplete, or belongs to another base or method"
    check_names(tensors, expected, where=where, ending=ending)
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != tuple(shape):
            raise FormatError(
                f"{where}: tensor {shown(name)}: found the shape {tuple(tensors[name].shape)}, "
                f"expected {tuple(shape)}"
            )


def parameter_shapes(base: Base) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the encoder's parameters by name, without BatchNorm's statistics."""
    return {
        name.removeprefix(ENCODER_PREFIX): tuple(value.shape)
        for name, value in base.part(ENCODER_PREFIX).items()
        if not is_statistic(name)
    }


def check_frozen(frozen: Mapping[str, Any], base: Base, *, where: str) -> None:
    """Check that the frozen tensors in a file are those of the base.

    Raises:
        WrongBaseError: A tensor differs or is not in the base. The message names the first and
            tells how many there are.
    """
    wrong = [name for name in sorted(frozen) if not same(frozen[name], base.tensors.get(name))]
    if wrong:
        raise WrongBaseError(
            f"{where}: {len(wrong)} of {len(frozen)} frozen tensors are not those of the base "
            f"{base.folder}, first {shown(wrong[0])}; pass the base it was trained on with --base"
        )


def same(value: Array, other: Array | None) -> bool:
    """Return whether two tensors are equal as float32; None equals nothing."""
    return (
        other is not None
        and value.shape == other.shape
        and bool(np.array_equal(as_float32(value), as_float32(other)))
    )


def the_one(values: Iterable[int], what: str, *, where: str) -> int:
    """Return the value that all of the given values have.

    Raises:
        FormatError: The values differ.
    """
    found = sorted(set(values))
    if len(found) != 1:
        raise FormatError(
            f"{where}: found {what}s of {', '.join(map(str, found)) or 'nothing'}, "
            f"expected one {what} for all layers"
        )
    return found[0]
