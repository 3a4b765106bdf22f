"""The model that ``--model``, ``--adapter``, ``--threads`` and ``--provider`` name.

Called by every verb that runs one.
"""

from __future__ import annotations

from argparse import Namespace

from samzoo.runtime.model import Model

from .index import DEFAULT_MODEL, load


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
