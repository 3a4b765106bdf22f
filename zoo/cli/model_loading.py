"""Loading of the model, and choice of an image's plane, from a verb's options.

In: the options' values. Out: a model, or the plane to read.
"""

from __future__ import annotations

import os
from pathlib import Path

from samzoo.runtime.model import Model
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.zoo.hub.names import DEFAULT_MODEL, load


def load_model(
    reference: str | None,
    *,
    adapter: str | None,
    threads: int | None,
    provider: str,
    diameter: float | None = None,
) -> Model:
    """Open a model.

    Args:
        reference: Value of ``--model``; None for the default model.
        adapter: The adapter to use; by default the package's first.
        threads: Number of CPU threads; by default all cores.
        provider: The hardware to run on.
        diameter: Diameter of the objects in pixels of the image; by default the model's own scale.

    Raises:
        InputError: The package has no such adapter, or does not take the diameter.
        SamzooError: As for ``load``.
    """
    model = load(reference or DEFAULT_MODEL, threads=threads, provider=provider)
    if adapter is not None:
        model.use(adapter)
    return model.for_objects(diameter)


def source_spec(
    path: Path,
    *,
    level: int | None,
    series: int | None,
    channel: int | str | None,
    plane: int | None,
) -> SourceSpec:
    """Return the plane that ``--level``, ``--series``, ``--channel`` and ``--plane`` name."""
    return SourceSpec(os.path.realpath(path), level or 0, series, channel, plane)
