"""``samzoo list``: the available models."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass

from samzoo.zoo.cli.verb import Result, Verb
from samzoo.zoo.hub.default_choice import default_model
from samzoo.zoo.reports.others_models import NEEDS, SOURCE, others_facts, others_table


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Which models besides those within reach."""

    others: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the option for models of others."""
    parser.add_argument(
        "--others", action="store_true",
        help="also list models that others have published and that samzoo can pull, such as "
        "micro-sam's",
    )  # fmt: skip


def run(options: ListOptions) -> Result:
    """List the shipped models, those in the cache, and those in indexes."""
    from samzoo.zoo.downloads import cache
    from samzoo.zoo.reports.model_shelf import known_models
    from samzoo.zoo.reports.models_listing import model_table, pull_hints

    models, problems = known_models()
    default = default_model()
    result: Result = {
        "text": model_table(models, default=default),
        "models": [model.facts() for model in models],
        "cache": str(cache.cache_folder()),
        "default": default,
        "notes": [*problems, *pull_hints(models)],
    }
    if options.others:
        result["text"] += f"\n\n{others_table()}"
        result["others"] = others_facts()
        result["notes"].append(f"others' models: from {SOURCE}; a pull {NEEDS}")
    return result


VERB = Verb(
    purpose="list the available models",
    example="samzoo list",
    options=ListOptions,
    add_options=add_options,
    run=run,
)
