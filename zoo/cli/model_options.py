"""The model and the plane of a file that options name.

Called by every verb that runs a model.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from samzoo.runtime.model import Model
from samzoo.runtime.windows.source import SourceSpec
from samzoo.zoo.hub.names import DEFAULT_MODEL, load


def load_model(options: Namespace) -> Model:
    """Open the model, once for a command.

    Raises:
        SamzooError: As ``load``; ``InputError`` where it has no such adapter.
    """
    known = getattr(options, "loaded_model", None)
    if isinstance(known, Model):
        return known
    model = load(options.model or DEFAULT_MODEL, threads=options.threads, provider=options.provider)
    if options.adapter is not None:
        model.use(options.adapter)
    options.loaded_model = model
    return model


def source_spec(path: Path, options: Namespace) -> SourceSpec:
    """Return the plane that ``--level``, ``--series``, ``--channel`` and ``--plane`` name."""
    return SourceSpec(
        str(path.resolve()), options.level or 0, options.series or 0, options.channel,
        options.plane or 0,
    )  # fmt: skip
