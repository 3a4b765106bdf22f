"""A study: which methods are compared on which bases and images, in a TOML file.

In: a TOML file. Out: a checked ``Study``. ``docs/studies.md`` describes the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.runtime.formats.fields import from_json
from samzoo.runtime.formats.files import read_toml
from samzoo.runtime.formats.manifest import check_name
from samzoo.training.config import MAX_SEED, TrainConfig, config_file
from samzoo.training.methods import get_method

UNTRAINED = "untrained"
"""The name of the row of a base without finetuning."""

OWN_KEYS = {"seed": "seeds", "hyperparameters": "methods.hyperparameters"}
"""Keys of a training config that a study says elsewhere."""


@dataclass(frozen=True, kw_only=True)
class StudyBase:
    """A base that is finetuned.

    Attributes:
        name: Names it in tables and folders.
        base: ``lite_medsam``, or a base folder relative to the study.
    """

    name: str
    base: str


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """Images that models are trained and scored on.

    Attributes:
        name: Names them in tables and folders.
        images: As ``--images`` of ``samzoo train``, relative to the study.
        labels: As ``--labels``; empty with a list.
        split: As ``--split``; empty with a list.
        numbers: Numbers of training images; 0 is all.
        metric: The metric of the tables.
        tasks: The tasks that are scored.
        ais_decoder: As ``--ais-decoder``; empty for the config's.
    """

    name: str
    images: str
    labels: str = ""
    split: str = ""
    numbers: tuple[int, ...] = (0,)
    metric: Literal["msa", "sa50", "sa75", "dice"] = "msa"
    tasks: tuple[str, ...] = TASKS
    ais_decoder: Literal["", "light", "unetr", "none"] = ""


@dataclass(frozen=True, kw_only=True)
class StudyMethod:
    """A row of the tables.

    Attributes:
        method: Finetuning method.
        name: Names the row and its folders; by default the method.
        hyperparameters: The method's settings.
        training: Keys of a training config that differ from the study's.
    """

    method: str
    name: str = ""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> str:
        """The row's name."""
        return self.name or self.method


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is compared.

    Attributes:
        title: Heading of the tables.
        bases: The bases.
        data: The sets of images.
        methods: The rows, in this order.
        seeds: A run for each: the seed of the training and of the choice of images.
        preset: The preset that runs are trained with; empty for the paper's defaults.
        training: Keys of a training config that differ from the preset's, for all runs.
        untrained: Whether the bases are scored without finetuning, too.
    """

    title: str
    bases: tuple[StudyBase, ...]
    data: tuple[StudyData, ...]
    methods: tuple[StudyMethod, ...]
    seeds: tuple[int, ...] = (0,)
    preset: Literal["", "laptop", "paper"] = ""
    training: dict[str, Any] = field(default_factory=dict)
    untrained: bool = False

    def config(self, method: StudyMethod) -> dict[str, Any]:
        """Return the keys of the training config of a method, without its hyperparameters."""
        preset = read_toml(config_file(self.preset), what="a preset") if self.preset else {}
        return {**preset, **self.training, **method.training}


def read_study(path: Path) -> Study:
    """Read and check a study, not the files that it names.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is no TOML, or a key is missing, unknown or not allowed.
        InputError: A method is unknown.
        StorageError: The file cannot be read.
    """
    study = from_json(Study, read_toml(path, what="a study"), where=str(path))
    _check_names("bases", [each.name for each in study.bases], path)
    _check_names("data", [each.name for each in study.data], path)
    _check_names("methods", [each.row for each in study.methods], path)
    if UNTRAINED in [each.row for each in study.methods]:
        raise FormatError(f"{path}: methods.name: {UNTRAINED!r} is the row of a base; rename it")
    _check_numbers("seeds", study.seeds, path, most=MAX_SEED)
    for data in study.data:
        _check_numbers(f"data {data.name}: numbers", data.numbers, path)
        if not data.tasks or not set(data.tasks) <= set(TASKS):
            raise FormatError(
                f"{path}: data {data.name}: tasks: found {shown(list(data.tasks))}, allowed are "
                f"{', '.join(TASKS)}"
            )
    for each in study.methods:
        training = {**study.training, **each.training}
        for key, place in OWN_KEYS.items():
            if key in training:
                raise FormatError(f"{path}: training.{key}: a study says it in {place}; omit it")
        where = f"{path}: methods {each.row}"
        get_method(each.method).settings(each.hyperparameters, where=where)
        from_json(TrainConfig, study.config(each), where=f"{where}: training")
    return study


def _check_names(key: str, names: Sequence[str], path: Path) -> None:
    if not names:
        raise FormatError(f"{path}: {key}: found none, expected at least one [[{key}]]")
    for name in names:
        check_name(name, f"{path}: {key}.name")
        if names.count(name) > 1:
            raise FormatError(f"{path}: {key}.name: two have the name {shown(name)}; rename one")


def _check_numbers(
    key: str, numbers: Sequence[int], path: Path, *, most: int | None = None
) -> None:
    bad = not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers)
    if bad or (most is not None and max(numbers) > most):
        raise FormatError(
            f"{path}: {key}: found {shown(list(numbers))}, expected different whole numbers from 0"
            f"{'' if most is None else f' to {most}'}, at least one"
        )
