"""A study of images that are only names, with runs that nobody has to train."""

import pytest
import tiny

from samzoo.runtime.formats.files import write_json
from samzoo.runtime.labels.lists import Entry
from samzoo.zoo.studies.plan import planned_runs
from samzoo.zoo.studies.study import read_study

TEXT = """\
title = "Few cells"
seeds = [0, 1]
untrained = true

[training]
epochs = 1
search_ais = false

[[bases]]
name = "tiny"
base = "base"

[[data]]
name = "cells"
images = "cells.csv"
numbers = [1, 0]
tasks = ["ais", "box"]

[[methods]]
method = "lora"
[methods.hyperparameters]
rank = 2

[[methods]]
method = "full"
name = "all-weights"
[methods.training]
learning_rate = 0.001
"""


@pytest.fixture
def study_file(tmp_path):
    """The file of a study, beside its base."""
    path = tmp_path / "study.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def study(study_file):
    """The study."""
    return read_study(study_file)


@pytest.fixture
def runs(study, tmp_path):
    """Its runs, in the folder ``work``."""
    return planned_runs(study, tmp_path, tmp_path / "work")


@pytest.fixture
def listed(tmp_path):
    """Six training images in three groups, three for validation, one for the test."""
    parts = [("train", g) for g in "aaabbc"] + [("val", "d"), ("val", ""), ("val", "")]
    parts.append(("test", "e"))
    return [
        Entry(image=tmp_path / f"{i}.tif", labels=tmp_path / f"{i}_l.tif", name=f"{i}", part=part,
              group=group)
        for i, (part, group) in enumerate(parts)
    ]  # fmt: skip


@pytest.fixture
def finish(seeded_base):
    """Write what a run leaves when it is done: ``finish(run, ais=0.5, seconds=1.0)``."""

    def finish(run, *, seconds=1.0, peak=2 * 10**9, **scores):
        write_json(
            run.folder / "report.json",
            {"mean": {task: {"msa": score, "dice": 0.0} for task, score in scores.items()}},
        )
        if run.method is not None:
            training = {"finished": True, "seconds_a_step": seconds}
            tiny.write_lora_adapter(
                run.folder / "run", seeded_base, "lora", {"rank": 2}, seed=0,
                source={"training": training},
            )  # fmt: skip
            write_json(run.folder / "cost.json", {"peak_bytes": peak})

    return finish
