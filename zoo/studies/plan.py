"""The runs of a study, and the commands of samzoo that each is made of.

In: a study and a folder for its work. Out: runs with their folders and command lines. Nothing is
run here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, read_adapter_config
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.formats.folders import CONFIG_FILE
from samzoo.runtime.labels.lists import Entry
from samzoo.zoo.recipes.recipe import LITE_MEDSAM
from samzoo.zoo.recipes.steps import PACKAGE, RUN, scoring_words, to_toml, training_words

from .image_choice import image_list
from .study import UNTRAINED, Study, StudyBase, StudyData, StudyMethod

CLAIM, BASES, RUNS = "study.json", "bases", "runs"
"""Names in the folder of a study."""

ALL = "all"
"""What folders and tables call all images of the part ``train``."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A training and its scores, or those of a base.

    Attributes:
        base: The base's name.
        base_folder: Its folder.
        data: The images.
        number: Number of training images; 0 is all.
        method: The method; None for the base without finetuning.
        seed: The seed; 0 for a base.
        folder: The folder of its files.
    """

    base: str
    base_folder: Path
    data: StudyData
    number: int
    method: StudyMethod | None
    seed: int
    folder: Path

    @property
    def row(self) -> str:
        """The name of its row in the tables."""
        return self.method.row if self.method is not None else UNTRAINED

    @property
    def title(self) -> str:
        """Names it for a person."""
        told = [self.base, self.data.name, self.row]
        if self.method is not None:
            images = "image" if self.number == 1 else "images"
            told += [f"{self.number or ALL} {images}", f"seed {self.seed}"]
        return ", ".join(told)


def base_folder(base: StudyBase, where: Path, work: Path) -> Path:
    """Return the folder of a base, which may have to be converted first.

    Args:
        base: The base.
        where: The study's folder.
        work: The folder of the work.
    """
    return work / BASES / base.name if base.base == LITE_MEDSAM else where / base.base


def planned_runs(study: Study, where: Path, work: Path) -> list[PlannedRun]:
    """List the runs of a study, those of the same base and images together.

    Args:
        study: The study.
        where: The study's folder.
        work: The folder of the work.
    """
    runs = []
    for base in study.bases:
        folder = base_folder(base, where, work)
        for data in study.data:
            place = work / RUNS / base.name / data.name
            if study.untrained:
                runs.append(
                    PlannedRun(
                        base=base.name, base_folder=folder, data=data, number=0, method=None,
                        seed=0, folder=place / UNTRAINED,
                    )
                )  # fmt: skip
            runs += [
                PlannedRun(
                    base=base.name, base_folder=folder, data=data, number=number, method=method,
                    seed=seed, folder=place / f"{number or ALL}" / method.row / f"seed-{seed}",
                )
                for number in data.numbers
                for method in study.methods
                for seed in study.seeds
            ]  # fmt: skip
    return runs


def claim(study: Study, lists: Mapping[str, Sequence[Entry]], work: Path) -> None:
    """Make the folder of the work, or refuse one in which another study has begun a run.

    Args:
        study: The study.
        lists: The images, by the names of the data.
        work: The folder of the work.

    Raises:
        InputError: Another study, or another list, was at work there; the message names what
            differs.
        StorageError: The folder cannot be written.
    """
    images = {name: sha256(image_list(each).encode()).hexdigest() for name, each in lists.items()}
    value = {**to_json(study), "lists": images}
    path = work / CLAIM
    if path.is_file() and (work / RUNS).exists():
        found = read_json(path)
        changed = [key for key in value if found.get(key) != value[key]]
        if changed:
            raise InputError(
                f"{work}: another study, or another version of it, was at work here (differs in: "
                f"{', '.join(changed)}); give back what it was, or choose another folder with -o"
            )
        return
    if not path.is_file() and work.exists() and any(work.iterdir()):
        raise InputError(f"{work}: holds something else; choose another folder with -o")
    write_json(path, value)


def training_config(study: Study, method: StudyMethod) -> str:
    """Return the training config of a method as TOML."""
    values = study.config(method)
    if method.hyperparameters:
        values["hyperparameters"] = method.hyperparameters
    return to_toml(values)


def train_words(run: PlannedRun, *, resume: bool) -> list[str]:
    """Return the command that trains, or goes on with what was interrupted."""
    assert run.method is not None
    return training_words(
        run.folder, run.base_folder, method=run.method.method, seed=run.seed,
        ais_decoder=run.data.ais_decoder, resume=resume,
    )  # fmt: skip


def export_words(run: PlannedRun) -> list[str]:
    """Return the command that makes the package that is scored, in full precision."""
    trained = run.method is not None
    model = run.folder / RUN if trained else run.base_folder
    words = ["export", str(model), "-o", str(run.folder / PACKAGE), "--force"]
    return [*words, *(["--base", str(run.base_folder)] if trained else [])]


def score_words(run: PlannedRun) -> list[str]:
    """Return the command that scores the package on the part ``test``."""
    tasks = [task for task in run.data.tasks if task != "ais" or has_ais_decoder(run)]
    return [*scoring_words(run.folder, tasks), "--force"]


def has_ais_decoder(run: PlannedRun) -> bool:
    """Tell whether a run's model has an AIS decoder, once there is a model.

    Raises:
        SamzooError: There is none yet, or it is damaged.
    """
    if run.method is not None:
        architecture = read_adapter_config(run.folder / RUN / ADAPTER_CONFIG_FILE).architecture
    else:
        architecture = ModelConfig.read(run.base_folder / CONFIG_FILE).architecture
    return architecture.ais_decoder is not None
