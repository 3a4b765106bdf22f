"""The steps of a recipe as commands, and the folder of the work."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
from tiny_recipe import RECIPE

from samzoo.runtime.errors import FormatError, InputError, WrongBaseError
from samzoo.runtime.formats.files import write_json
from samzoo.training.config import TrainConfig
from samzoo.zoo.cli.parser import parse
from samzoo.zoo.recipes import steps
from samzoo.zoo.recipes.recipe import LITE_MEDSAM, read_recipe

WORK = Path("work")


@pytest.fixture
def recipe(tmp_path):
    text = RECIPE.format(digest='"sha256:0"', name='"cells"', url='""')
    (tmp_path / "recipe.toml").write_text(text)
    (tmp_path / "files.csv").write_text("image,label\n")
    return read_recipe(tmp_path / "recipe.toml")


def test_each_step_is_a_command_that_can_be_parsed(recipe):
    base = steps.base_of(recipe, Path("here"), WORK)
    assert base == Path("here/base")
    options = parse(steps.train_words(recipe, base, WORK, resume=False)).options
    assert (options.seed, options.resume, options.output) == (1, False, WORK / "run")
    assert parse(steps.train_words(recipe, base, WORK, resume=True)).options.resume
    options = parse(steps.package_words(recipe, base, WORK, factored=True)).options
    assert (options.names, options.precision, options.over) == (("cells",), "fp16", None)
    options = parse(steps.score_words(recipe, WORK)).options
    assert (options.part, options.tasks, options.controls) == ("test", "box", False)
    options = parse(steps.card_words(recipe, Path("here"), WORK)).options
    assert (options.data, options.texts) == (("tiny cells",), None)


def test_options_of_the_recipe_are_options_of_the_commands(recipe):
    scoring = dataclasses.replace(
        recipe.evaluation, controls=True, orientations=True, diameter="auto"
    )
    other = dataclasses.replace(
        recipe, over="nuclei", card="card.toml", base=LITE_MEDSAM, evaluation=scoring,
        ais_decoder="none",
    )  # fmt: skip
    assert steps.base_of(other, Path("here"), WORK) == WORK / "base"
    options = parse(steps.package_words(other, Path("b"), WORK, factored=True)).options
    assert (options.over, options.precision) == ("nuclei", None)
    options = parse(steps.score_words(other, WORK)).options
    assert (options.controls, options.orientations, options.diameter) == (True, True, "auto")
    options = parse(steps.train_words(other, Path("b"), WORK, resume=False)).options
    assert options.ais_decoder == "none"
    kept = dataclasses.replace(recipe, with_weights=True)
    for factored in (True, False):
        words = steps.package_words(kept, Path("b"), WORK, factored=factored)
        assert parse(words).options.with_weights
    assert parse(steps.card_words(other, Path("here"), WORK)).options.texts == Path(
        "here/card.toml"
    )
    alone = dataclasses.replace(other, over="")
    assert steps.package_words(alone, Path("b"), WORK, factored=False)[0] == "export"
    with pytest.raises(FormatError, match="over: found 'nuclei'"):
        steps.package_words(other, Path("b"), WORK, factored=False)


def test_training_keys_come_back_from_the_file_that_is_written(tmp_path, recipe):
    training = {
        **recipe.training, "learning_rate": 1e-3, "percentiles": [0.1, 99.9], "scheduler": "cosine",
        "scale_by_image": True, "intensities": {"contrast": 0.3, "blur": 0.0},
    }  # fmt: skip
    text = steps.to_toml(training)
    assert tomllib.loads(text) == training
    (tmp_path / "t.toml").write_text(text)
    assert TrainConfig.read(str(tmp_path / "t.toml")).learning_rate == 1e-3


def test_the_folder_of_the_work_belongs_to_one_recipe(tmp_path, recipe):
    work, table = tmp_path / "work", tmp_path / "files.csv"
    steps.claim_work(recipe, table, work)
    steps.claim_work(recipe, table, work)
    with pytest.raises(InputError, match="another recipe, or another version"):
        steps.claim_work(dataclasses.replace(recipe, seed=2), table, work)
    table.write_text("image,label\na,b\n")
    with pytest.raises(InputError, match="another recipe, or another version"):
        steps.claim_work(recipe, table, work)
    with pytest.raises(InputError, match="holds something else"):
        steps.claim_work(recipe, table, tmp_path)


def test_another_base_is_refused(tmp_path, recipe, toy_config):
    config = dataclasses.replace(toy_config(), weights_digest="sha256:1")
    write_json(tmp_path / "config.json", config.to_json())
    with pytest.raises(WrongBaseError, match="weights digest sha256:1, the recipe was made with"):
        steps.check_base(recipe, tmp_path)
