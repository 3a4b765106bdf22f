"""A run is made from where it stopped, and what takes room is removed when it is scored."""

import shutil

import pytest

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.files import read_json
from samzoo.zoo.studies.making import is_done, make_run
from samzoo.zoo.studies.processes import Ended

LAST = "run/checkpoints/last.safetensors"


class Commands:
    """Stands in for samzoo: each command writes what the next one looks for."""

    def __init__(self, finish, run):
        self.words, self._finish, self._run = [], finish, run
        self.stop = self.code = None
        self.peak = 100

    def __call__(self, words, log):
        self.words.append(list(words))
        folder = self._run.folder
        if words[0] == self.stop:
            (folder / LAST).parent.mkdir(parents=True, exist_ok=True)
            (folder / LAST).write_text("")
            raise KeyboardInterrupt
        if words[0] == self.code:
            if words[0] == "evaluate":  # as if it had left out an image
                (folder / "report.json").write_text('{"mean": {}}')
            return Ended(2, self.peak, "no memory")
        if words[0] == "train":
            shutil.rmtree(folder / "run", ignore_errors=True)
            self._finish(self._run, ais=0.0)
            (folder / "report.json").unlink()
            (folder / LAST).parent.mkdir(exist_ok=True)
            (folder / LAST).write_text("")
        elif words[0] == "export":
            (folder / "package").mkdir(exist_ok=True)
        else:
            (folder / "report.json").write_text('{"mean": {}}')
        return Ended(0, self.peak, "")

    def verbs(self):
        found = [words[0] for words in self.words]
        self.words.clear()
        return found


@pytest.fixture
def run(runs):
    return runs[1]


@pytest.fixture
def commands(finish, run):
    return Commands(finish, run)


@pytest.fixture
def make(study, run, listed, commands):
    told: list[str] = []

    def make():
        make_run(study, run, listed, execute=commands, say=told.append)
        return told

    return make


@pytest.mark.usefixtures("commands")
def test_it_trains_exports_scores_and_tidies_and_does_nothing_twice(make, commands, run):
    told = make()
    assert commands.verbs() == ["train", "export", "evaluate"]
    assert is_done(run)
    assert [line.split(":")[0] for line in told] == ["train", "export", "evaluate"]
    assert not (run.folder / "package").exists()
    assert not (run.folder / LAST).exists()
    assert (run.folder / "run/adapter_config.json").is_file()
    assert read_json(run.folder / "cost.json") == {"peak_bytes": 2 * 10**9}  # of ``finish``
    assert len((run.folder / "images.csv").read_text().splitlines()) == 1 + 1 + 1 + 1
    assert "epochs = 1" in (run.folder / "training.toml").read_text()
    make()
    assert commands.verbs() == []


def test_a_training_that_was_stopped_resumes(make, commands):
    commands.stop = "train"
    with pytest.raises(KeyboardInterrupt):
        make()
    commands.stop = None
    make()
    first, second = commands.words[:2]
    assert "--resume" not in first
    assert second == [*first, "--resume"]


def test_a_stop_while_scoring_does_not_train_again(make, commands):
    commands.stop = "evaluate"
    with pytest.raises(KeyboardInterrupt):
        make()
    commands.stop = None
    commands.verbs()
    make()
    assert commands.verbs() == ["export", "evaluate"]


def test_a_failure_says_the_run_the_step_and_what_was_said(make, commands, run):
    commands.code = "train"
    with pytest.raises(
        InputError, match="lora, 1 image, seed 0: train failed with exit code 2: no"
    ):
        make()
    assert not is_done(run)
    assert read_json(run.folder / "cost.json") == {"peak_bytes": 100}
    commands.code, commands.peak = None, 50
    make()
    assert is_done(run)


def test_scores_of_a_part_of_the_images_are_none(make, commands, run):
    commands.code = "evaluate"
    with pytest.raises(InputError, match="evaluate failed"):
        make()
    assert not is_done(run)
    commands.code = None
    make()
    assert is_done(run)


def test_a_base_is_scored_without_training(study, runs, listed, finish, seeded_base, tmp_path):
    shutil.copytree(seeded_base, tmp_path / "base")
    commands = Commands(finish, runs[0])
    make_run(study, runs[0], listed, execute=commands, say=lambda _: None)
    assert commands.verbs() == ["export", "evaluate"]
    assert len((runs[0].folder / "images.csv").read_text().splitlines()) == 1 + len(listed)
