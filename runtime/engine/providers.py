"""Execution providers: the device and the library with which onnxruntime computes the graphs.

In: one of the short names in ``PROVIDERS``. Out: the arguments of ``InferenceSession``, or an
error that says which providers there are and which package brings the others. There is no silent
fallback to another provider.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.errors import InputError, MissingDependencyError, did_you_mean, shown

Provider = Literal["cpu", "cuda", "coreml", "openvino", "directml"]
"""The short names."""

CPU: Provider = "cpu"
"""The default; every build of onnxruntime has it."""

_EXECUTION_PROVIDER = "ExecutionProvider"


@dataclass(frozen=True)
class ProviderRow:
    """What onnxruntime calls a provider, and where it comes from.

    Attributes:
        onnxruntime: Its name in ``onnxruntime.get_available_providers()``.
        package: The package whose onnxruntime has the provider.
        system: The systems for which that package exists, for people.
        threads_option: The provider's own option for the number of CPU threads, or empty.
        takes_optional_inputs: Whether graph inputs that have a default may be fed. On the CPU and
            with CUDA they are inputs like others. OpenVINO silently keeps the default (tried with
            onnxruntime-openvino 1.24.1). Providers that nobody has tried are False too.
    """

    onnxruntime: str
    package: str
    system: str
    threads_option: str = ""
    takes_optional_inputs: bool = field(default=False, kw_only=True)


PROVIDERS: dict[Provider, ProviderRow] = {
    "cpu": ProviderRow(
        "CPUExecutionProvider", "onnxruntime", "everywhere", takes_optional_inputs=True
    ),
    "cuda": ProviderRow(
        "CUDAExecutionProvider",
        "onnxruntime-gpu",
        "Linux and Windows with an NVIDIA GPU",
        takes_optional_inputs=True,
    ),
    "coreml": ProviderRow("CoreMLExecutionProvider", "onnxruntime", "macOS"),
    "openvino": ProviderRow(
        "OpenVINOExecutionProvider",
        "onnxruntime-openvino",
        "Linux and Windows with an Intel CPU or GPU",
        "num_of_threads",
    ),
    "directml": ProviderRow("DmlExecutionProvider", "onnxruntime-directml", "Windows"),
}
"""The one table of short names, for options and messages."""


def available_providers() -> list[Provider]:
    """List the providers of the installed onnxruntime, in the order of ``PROVIDERS``.

    A listed provider may still fail to load, for example without a driver; only making a session
    shows that.
    """
    built = set(import_onnxruntime().get_available_providers())
    return [name for name, row in PROVIDERS.items() if row.onnxruntime in built]


def check_provider(provider: str) -> Provider:
    """Check, before any work is done, that a provider exists and that this onnxruntime has it.

    Args:
        provider: A short name from ``PROVIDERS``.

    Returns:
        The same name.

    Raises:
        InputError: There is no such name; the message lists the known ones.
        MissingDependencyError: This build of onnxruntime does not have it; the message lists what
            it has and names the package that brings it.
    """
    known = get_args(Provider)
    if provider not in known:
        raise InputError(
            f"provider: found {shown(provider)}, allowed are {', '.join(known)}"
            f"{did_you_mean(provider, known)}"
        )
    name: Provider = provider  # type: ignore[assignment]  # just checked
    if name == CPU:
        return name
    there = available_providers()
    if name not in there:
        row, version = PROVIDERS[name], import_onnxruntime().__version__
        raise MissingDependencyError(
            f"provider {name!r} is not in this onnxruntime {version}, which has "
            f"{', '.join(there)}; {_advice(row)}"
        )
    return name


def _advice(row: ProviderRow) -> str:
    if row.package == "onnxruntime":
        return f"it is part of the package {row.package} on {row.system}"
    # Both packages install the same folder; the one installed last wins.
    return (
        f"it comes with the package {row.package} ({row.system}), which replaces onnxruntime: "
        f"run pip uninstall onnxruntime, then pip install {row.package}"
    )


def session_providers(provider: Provider, threads: int | None) -> list[Any]:
    """Return the ``providers`` argument of ``InferenceSession``.

    Args:
        provider: A checked name.
        threads: CPU threads of one operator; None for the provider's own choice.

    Returns:
        The provider with its options, then the CPU. onnxruntime's partition runs nodes on the CPU
        that the provider cannot take; that is not a fallback.
    """
    row = PROVIDERS[provider]
    if provider == CPU:
        return [row.onnxruntime]
    options = {}
    if threads is not None and row.threads_option:
        options[row.threads_option] = str(threads)
    return [(row.onnxruntime, options), PROVIDERS[CPU].onnxruntime]


def check_optional_inputs(provider: Provider, names: Collection[str], *, role: str) -> None:
    """Refuse to feed inputs that a provider would silently leave at their defaults.

    Args:
        provider: The provider in use.
        names: Inputs with a default that are about to be fed; may be empty.
        role: The graph's role, for the message.

    Raises:
        InputError: There are such inputs, and the provider does not take them.
    """
    if names and not PROVIDERS[provider].takes_optional_inputs:
        able = ", ".join(name for name, row in PROVIDERS.items() if row.takes_optional_inputs)
        raise InputError(
            f"provider {provider!r} cannot be relied on to take the {role} graph's optional inputs "
            f"({shown(min(names))}), which adapters over a shared encoder and the modes amg and "
            f"apg need; choose one of the providers {able}, or export the adapter as a package of "
            "its own"
        )


def require_in_use(session: Any, provider: Provider) -> None:
    """Refuse a session that runs on another provider than asked, now or later.

    onnxruntime drops a provider whose library does not load, and tells only its log.

    Args:
        session: An ``InferenceSession``.
        provider: The provider that was asked for.

    Raises:
        MissingDependencyError: The session's first provider is another one.
    """
    session.disable_fallback()
    row, used = PROVIDERS[provider], session.get_providers()
    if used[0] != row.onnxruntime:
        names = ", ".join(name.removesuffix(_EXECUTION_PROVIDER) for name in used)
        raise MissingDependencyError(
            f"provider {provider!r} is in this onnxruntime but did not load, so the session "
            f"would run on {names}; install the driver and libraries that {row.package} needs "
            f"({row.system}), or choose provider {CPU!r}"
        )
