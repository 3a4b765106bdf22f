"""A merged model's weights, each computed on demand.

In: the tensors of a base and of an adapter, as mappings that read them from their files. Out: a
mapping with the merged weights under the original SAM names. It needs the memory of one layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, get_args

import numpy as np

from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.formats.adapter import AdapterConfig
from samzoo.runtime.formats.architecture import AisDecoderConfig, Architecture
from samzoo.runtime.formats.arrays import Array, Tensors
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX, DECODER_PREFIXES, ENCODER_PREFIX
from samzoo.runtime.formats.shapes import ais_decoder_shapes
from samzoo.runtime.formats.tensor_files import TensorFile, TensorInfo, check_finite
from samzoo.training.methods import Method, get_method
from samzoo.training.methods.method import S

QloraBase = Literal["original", "dequantized"]
QLORA_BASES: tuple[QloraBase, ...] = get_args(QloraBase)

DEFAULT_QLORA_BASE: QloraBase = "dequantized"
"""The weights that a QLoRA adapter is folded into. ``dequantized``: those it was trained on,
rounded to 4 bits and back. ``original``: the base's own, as in PEFT-SAM's released code."""


def check_qlora_base(given: str, methods: Sequence[str]) -> None:
    """Refuse a choice of weights that would make no difference.

    Args:
        given: The value of ``qlora_base``.
        methods: The methods of the adapters that are folded; none for a model.

    Raises:
        InputError: The value is unknown, or it is not the default and no adapter was trained on
            rounded weights.
    """
    if given not in QLORA_BASES:
        raise InputError(f"qlora_base: found {shown(given)}, allowed: {', '.join(QLORA_BASES)}")
    quantized = any(get_method(method).quantized is not None for method in methods)
    if given != DEFAULT_QLORA_BASE and not quantized:
        found = ", ".join(methods) or "a model"
        raise InputError(f"qlora_base is for QLoRA adapters, found {found}; omit it")


class MergedWeights(Mapping[str, Array]):
    """The merged weights by name: the encoder with the delta folded in, and the adapter's decoders.

    No finetuned tensor is left out. The constructor checks names and shapes; each value is checked
    when it is computed.

    Args:
        config: The adapter's config.
        base: All weights of the base, float32 or float16.
        adapter: All tensors of the adapter.
        architecture: The base's architecture.
        qlora_base: The weights to fold into, if the method trained on quantized weights.

    Raises:
        InputError: The method is unknown.
        FormatError: A tensor is missing, is unknown or does not have the base's shape, or the
            architectures differ.
    """

    def __init__(
        self,
        config: AdapterConfig,
        base: TensorFile,
        adapter: TensorFile,
        architecture: Architecture,
        *,
        qlora_base: QloraBase = DEFAULT_QLORA_BASE,
    ) -> None:
        self._method = get_method(config.method)
        settings = self._method.settings(config.hyperparameters, where="adapter")
        self._settings = self._method.resolved(settings, architecture)
        _check_architecture(config, architecture, self._method, self._settings)
        self._architecture = config.architecture
        self._adapter = adapter
        encoder = {n: i for n, i in base.info.items() if n.startswith(ENCODER_PREFIX)}
        delta = {n: i for n, i in adapter.info.items() if n.startswith(ENCODER_PREFIX)}
        self._finetuned = set(adapter.info) - set(delta)
        finetuned = {name: adapter.info[name] for name in self._finetuned}
        _check_decoders(base.info, finetuned, config.architecture.ais_decoder)
        self._method.check_delta(encoder, delta, architecture, self._settings)
        self._base = _EncoderWeights(base, encoder, self._method, self._settings, qlora_base)
        # Factors that several layers share, and weights beside the layers, need all of the delta.
        whole = not self._method.folds or self._method.shares(self._settings)
        self._groups = {"": [*delta]} if whole else _grouped(delta, encoder)
        self._folded: tuple[str | None, Tensors] = (None, {})
        kept = {} if self._method.folds else delta
        self.info = {
            name: _widened(info) for name, info in sorted({**encoder, **kept, **finetuned}.items())
        }

    def __getitem__(self, name: str) -> Array:
        """Compute one weight.

        Raises:
            KeyError: There is no weight of that name.
            FormatError: The weight does not fit the base, or its values are not finite.
        """
        info = self.info[name]
        if name in self._finetuned:
            value = self._adapter[name]
        else:
            folded = self._fold("" if "" in self._groups else name.rpartition(".")[0])
            value = folded[name] if name in folded else self._base[name]
        with np.errstate(over="ignore"):  # infinite values are reported below, by name
            value = value.astype(info.dtype, copy=False)
        if value.shape != info.shape:
            raise FormatError(
                f"tensor {shown(name)}: merging gives the shape {value.shape}, not {info.shape}"
            )
        check_finite({name: value}, where="after merging")
        return value

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in sorted order."""
        return iter(self.info)

    def __len__(self) -> int:
        """Return the number of weights."""
        return len(self.info)

    def _fold(self, group: str) -> Tensors:
        """Fold the part of the delta that changes a group, and keep the last result."""
        if group not in self._groups:
            return {}
        if self._folded[0] != group:
            self._folded = (None, {})  # frees its memory before the next is computed
            delta = {name: self._adapter[name] for name in self._groups[group]}
            with np.errstate(over="ignore", invalid="ignore"):  # checked when asked for
                folded = self._method.fold(self._base, delta, self._architecture, self._settings)
            self._folded = (group, folded)
        return self._folded[1]


class _EncoderWeights(Mapping[str, Array], Generic[S]):
    """The encoder's weights that the delta is added to, in float32."""

    def __init__(
        self,
        base: TensorFile,
        names: Mapping[str, TensorInfo],
        method: Method[S],
        settings: S,
        qlora_base: QloraBase,
    ) -> None:
        self._base, self._names, self._settings = base, names, settings
        rounded = method.quantized is not None and qlora_base == "dequantized"
        self._quantized = method.quantized if rounded else None
        self._last: tuple[str, Array] | None = None  # q, k and v ask for the same weight

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        if self._last is None or self._last[0] != name:
            self._last = None  # frees its memory before the next is read
            value = self._base[name]
            value = value.astype(np.float32) if value.dtype == np.float16 else value
            if self._quantized is not None:
                value = self._quantized.trained_base(name, value, self._settings)
            self._last = (name, value)
        return self._last[1]

    def __contains__(self, name: object) -> bool:
        return name in self._names  # Mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _widened(info: TensorInfo) -> TensorInfo:
    return TensorInfo("float32", info.shape) if info.dtype == "float16" else info


def _grouped(delta: Mapping[str, Any], encoder: Mapping[str, Any]) -> dict[str, list[str]]:
    """Group the delta's tensors by the module of the base whose weights they change."""
    modules = {name.rpartition(".")[0] for name in encoder}
    groups: dict[str, list[str]] = {}
    for name in delta:
        module = name.rpartition(".")[0]
        while module and module not in modules:
            module = module.rpartition(".")[0]
        groups.setdefault(module, []).append(name)
    return groups


def _check_decoders(
    base: Mapping[str, TensorInfo],
    finetuned: Mapping[str, TensorInfo],
    ais_decoder: AisDecoderConfig | None,
) -> None:
    """Check that the adapter holds the whole prompt encoder, mask decoder and AIS decoder."""
    expected = {n: i.shape for n, i in base.items() if n.startswith(DECODER_PREFIXES)}
    if ais_decoder is not None:
        shapes = ais_decoder_shapes(ais_decoder)
        expected |= {f"{AIS_DECODER_PREFIX}{name}": shape for name, shape in shapes.items()}
    for name, shape in expected.items():
        found = finetuned.get(name)
        if found is None or found.shape != shape:
            problem = "nothing" if found is None else f"shape {found.shape}"
            raise FormatError(
                f"adapter tensor {shown(name)}: expected shape {shape}, found {problem}"
            )
    for name in finetuned:
        if name not in expected and (
            ais_decoder is not None or not name.startswith(AIS_DECODER_PREFIX)
        ):
            raise FormatError(f"adapter tensor {shown(name)} is not in the base")


def _check_architecture(
    config: AdapterConfig, base: Architecture, method: Method[S], settings: S
) -> None:
    """Check that the adapter's network is the base's, except for what the method adds to it."""
    expected = method.extended(base, settings).image_encoder
    if config.architecture.image_encoder != expected:
        raise FormatError(
            "the adapter's architecture.image_encoder is not that of its base: found "
            f"{shown(config.architecture.image_encoder)}, expected {shown(expected)}"
        )
