"""The models that are within reach: shipped with samzoo, pulled, or named by an index.

In: the installation, the cache and the indexes. Out: models, and what is wrong with others.
"""

from __future__ import annotations

from samzoo.runtime.errors import SamzooError
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.downloads import cache
from samzoo.zoo.hub.model_index import locations, read_index
from samzoo.zoo.packages.shelf import shipped
from samzoo.zoo.packages.summary import summarise

from .models_listing import CACHED, SHIPPED, ListedModel


def known_models() -> tuple[list[ListedModel], list[str]]:
    """Find all models within reach.

    Returns:
        Models, those on this computer first, each name of an index once; and a sentence for each
        package and each entry of an index that cannot be read.

    Raises:
        FormatError: A shipped manifest is damaged.
        InputError: ``SAMZOO_INDEX`` is no list of places.
    """
    models, problems = models_here()
    for location in locations():
        try:
            index = read_index(location)
        except SamzooError as error:
            problems.append(str(error))
            continue
        problems += index.bad.values()
        here = {model.name for model in models}
        models += [
            ListedModel(name=entry.name, place=location, summary=entry.summary)
            for entry in index.models
            if entry.name not in here
        ]
    return models, problems


def models_here() -> tuple[list[ListedModel], list[str]]:
    """Find the models on this computer; as ``known_models``, without asking an index."""
    models = [
        ListedModel(name=each.name, place=SHIPPED, summary=summarise(each.manifest))
        for each in shipped()
    ]
    problems = []
    for package in cache.cached():
        name = next(iter(package.references), package.key)
        try:
            summary = summarise(Manifest.read(package.folder))
        except SamzooError as error:
            problems.append(f"{error}; samzoo remove {name} deletes it")
            continue
        models.append(ListedModel(name=name, place=CACHED, summary=summary))
    return models, problems
