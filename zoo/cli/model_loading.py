"""The model that options name, and the plane of a file that they name."""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.model import Model
from samzoo.runtime.windows.source import SourceSpec
from samzoo.zoo.hub.names import DEFAULT_MODEL, load


def load_model(
    reference: str | None, *, adapter: str | None, threads: int | None, provider: str
) -> Model:
    """Open a model.

    Args:
        reference: What ``--model`` says; the default model if None.
        adapter: The adapter to use; the package's first by default.
        threads: CPU threads; all cores by default.
        provider: Where it runs.

    Raises:
        SamzooError: As ``load``; ``InputError`` where it has no such adapter.
    """
    model = load(reference or DEFAULT_MODEL, threads=threads, provider=provider)
    if adapter is not None:
        model.use(adapter)
    return model


def source_spec(
    path: Path, *, level: int | None, series: int | None, channel: int | None, plane: int | None
) -> SourceSpec:
    """Return the plane that ``--level``, ``--series``, ``--channel`` and ``--plane`` name."""
    return SourceSpec(str(path.resolve()), level or 0, series or 0, channel, plane or 0)
