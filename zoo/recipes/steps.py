"""The steps of a recipe, each a command of samzoo, so that a person can repeat them one by one.

In: a recipe and a folder for the work. Out: command lines. Nothing is run here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, InputError, WrongBaseError, shown
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, is_adapter, read_adapter_config
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.files import read_json, sha256_of, write_json
from samzoo.runtime.formats.folders import CONFIG_FILE

from .recipe import LITE_MEDSAM, Recipe

RECIPE, IMAGES, TRAINING, BASE, RUN = "recipe.json", "images.csv", "training.toml", "base", "run"
PACKAGE, REPORT = "package", "report.json"
"""Names in the folder of the work."""


def base_of(recipe: Recipe, folder: Path, work: Path) -> Path:
    """Return the folder of the base, which may have to be converted first.

    Args:
        recipe: The recipe.
        folder: The recipe's folder.
        work: The folder of the work.
    """
    return work / BASE if recipe.base == LITE_MEDSAM else folder / recipe.base


def claim_work(recipe: Recipe, table: Path, work: Path) -> None:
    """Make the folder of the work, or refuse one in which another recipe was at work.

    Args:
        recipe: The recipe.
        table: Its list of images.
        work: The folder of the work.

    Raises:
        InputError: Another recipe, or another list, was at work there.
        StorageError: The folder cannot be written.
    """
    value = {"recipe": to_json(recipe), "files": sha256_of(table)}
    path = work / RECIPE
    if path.is_file():
        if read_json(path) != value:
            raise InputError(
                f"{work}: another recipe, or another version of it, was at work here; delete the "
                "folder, or choose another with --work"
            )
        return
    if work.exists() and any(work.iterdir()):
        raise InputError(f"{work}: holds something else; choose another folder with --work")
    write_json(path, value)


def check_base(recipe: Recipe, base: Path) -> None:
    """Refuse another base than the recipe's.

    Raises:
        WrongBaseError: Its weights are others.
        SamzooError: There is no base.
    """
    found = ModelConfig.read(base / CONFIG_FILE).weights_digest
    if found != recipe.base_digest:
        raise WrongBaseError(
            f"{base}: weights digest {found}, the recipe was made with {recipe.base_digest}"
        )


def is_trained(run: Path) -> bool:
    """Tell whether a training has come to its end; one that was stopped leaves an adapter, too.

    Raises:
        FormatError: The adapter's config is damaged.
    """
    if not is_adapter(run):
        return False
    training = read_adapter_config(run / ADAPTER_CONFIG_FILE).source.get("training")
    return isinstance(training, Mapping) and training.get("finished") is True


def train_words(recipe: Recipe, base: Path, work: Path, *, resume: bool) -> list[str]:
    """Return the command that trains, or goes on with what was interrupted."""
    return training_words(
        work, base, method=recipe.method, seed=recipe.seed, ais_decoder=recipe.ais_decoder,
        resume=resume,
    )  # fmt: skip


def training_words(
    work: Path, base: Path, *, method: str, seed: int, ais_decoder: str, resume: bool
) -> list[str]:
    """Return the command that trains in a folder of work with its list of images and its config.

    Args:
        work: The folder of the work.
        base: The base.
        method: The finetuning method.
        seed: The random seed.
        ais_decoder: The AIS decoder, where it is not the config's; else empty.
        resume: Whether to go on with what was interrupted.
    """
    words = [
        "train", "--images", str(work / IMAGES), "--base", str(base), "--method", method,
        "--config", str(work / TRAINING), "--seed", str(seed), "-o", str(work / RUN),
    ]  # fmt: skip
    words += ["--ais-decoder", ais_decoder] if ais_decoder else []
    return [*words, *(["--resume"] if resume else [])]


def package_words(recipe: Recipe, base: Path, work: Path, *, factored: bool) -> list[str]:
    """Return the command that makes the package.

    Args:
        recipe: The recipe.
        base: The base.
        work: The folder of the work.
        factored: Whether the method's adapters can share an encoder.

    Raises:
        FormatError: The recipe asks for a shared encoder, and its method cannot have one.
    """
    words = [str(work / RUN), "-o", str(work / PACKAGE), "--base", str(base)]
    words += ["--name", recipe.name, "--segments", recipe.segments]
    if not factored:
        if recipe.over:
            raise FormatError(
                f"over: found {shown(recipe.over)}, but adapters of {recipe.method} cannot share "
                "an encoder; omit it"
            )
        kept = ["--with-weights"] if recipe.with_weights else []
        return ["export", *words, "--precision", recipe.precision, *kept]
    encoder = ["--over", recipe.over] if recipe.over else ["--precision", recipe.precision]
    encoder += ["--with-weights"] if recipe.with_weights else []
    return ["share", *words, "--names", recipe.name, *encoder]


def score_words(recipe: Recipe, work: Path) -> list[str]:
    """Return the command that scores the package on the part ``test``."""
    scoring = recipe.evaluation
    words = scoring_words(work, scoring.tasks)
    words += ["--diameter", scoring.diameter] if scoring.diameter else []
    options = {"--controls": scoring.controls, "--orientations": scoring.orientations}
    return [*words, *(option for option, wanted in options.items() if wanted)]


def scoring_words(work: Path, tasks: Sequence[str]) -> list[str]:
    """Return the command that scores the package in a folder of work, at its own scale."""
    return [
        "evaluate", "--images", str(work / IMAGES), "--part", "test", "--model",
        str(work / PACKAGE), "--tasks", ",".join(tasks), "-o", str(work / REPORT),
    ]  # fmt: skip


def card_words(recipe: Recipe, folder: Path, work: Path) -> list[str]:
    """Return the command that writes the scores, and the card's texts, into the package."""
    words = ["card", str(work / PACKAGE), "--metrics", str(work / REPORT)]
    words += ["--data", recipe.evaluation.data]
    return [*words, *(["--from", str(folder / recipe.card)] if recipe.card else [])]


def to_toml(values: Mapping[str, Any]) -> str:
    """Write the keys of a training config as TOML; tables are inline.

    >>> print(to_toml({"epochs": 3, "hyperparameters": {"matrices": ["q", "v"]}}), end="")
    epochs = 3
    hyperparameters = {matrices = ["q", "v"]}
    """
    return "".join(f"{key} = {_value(value)}\n" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)  # numbers, texts and booleans are written as in JSON
