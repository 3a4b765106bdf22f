"""``samzoo list``: the available models."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass

from samzoo.zoo.cli.verb import Result, Verb
from samzoo.zoo.hub.default_choice import default_model


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """The verb has no options."""


def add_options(_: ArgumentParser) -> None:
    """Add nothing."""


def run(_: ListOptions) -> Result:
    """List the shipped models, those in the cache, and those in indexes."""
    from samzoo.zoo.downloads import cache
    from samzoo.zoo.reports.model_shelf import known_models
    from samzoo.zoo.reports.models_listing import model_table, pull_hints

    models, problems = known_models()
    default = default_model()
    return {
        "text": model_table(models, default=default),
        "models": [model.facts() for model in models],
        "cache": str(cache.cache_folder()),
        "default": default,
        "notes": [*problems, *pull_hints(models)],
    }


VERB = Verb(
    purpose="list the available models",
    example="samzoo list",
    options=ListOptions,
    add_options=add_options,
    run=run,
)
