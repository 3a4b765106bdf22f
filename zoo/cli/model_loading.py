"""Loading of the model, and choice of an image's plane, from a verb's options.

In: the options' values. Out: a model, or the plane to read.
"""

from __future__ import annotations

import os
from pathlib import Path

from samzoo.runtime.model import Model
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.zoo.cli.options import ModelOptions
from samzoo.zoo.hub.names import DEFAULT_MODEL, load


def load_model(options: ModelOptions) -> Model:
    """Open the model that a verb's options choose.

    Args:
        options: The options of ``add_model`` and ``add_diameter``.

    Raises:
        InputError: The package has no such adapter, or does not take the diameter.
        SamzooError: As for ``load``.
    """
    model = load(options.model or DEFAULT_MODEL, threads=options.threads, provider=options.provider)
    if options.adapter is not None:
        model.use(options.adapter)
    return model.for_objects(options.diameter)


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
