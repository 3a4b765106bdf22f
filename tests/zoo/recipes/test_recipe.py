"""Recipes: what is missing, unknown or not allowed is named."""

import pytest
from tiny_recipe import RECIPE

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.zoo.recipes.recipe import LITE_MEDSAM, read_recipe

TEXT = RECIPE.format(digest='"sha256:0"', name='"cells"', url='""')


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "recipe.toml").write_text(text)
        return read_recipe(tmp_path / "recipe.toml")

    return read


def test_a_recipe_is_read_with_its_defaults(read):
    recipe = read(TEXT.replace('base = "base"\n', ""))
    assert (recipe.name, recipe.base, recipe.precision) == ("cells", LITE_MEDSAM, "fp16")
    assert recipe.training["hyperparameters"] == {"rank": 2}
    assert recipe.sets[0].license == "CC0-1.0"
    assert recipe.evaluation.tasks == ("box",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "cells"\nseg', 'name = "A b"\nseg', "name: found 'A b'"),
        ("seed = 1\n", "", "seed"),
        ("seed = 1\n", "seed = 1\nsede = 2\n", "sede"),
        ('tasks = ["box"]', 'tasks = ["boxes"]', "evaluation.tasks: found"),
        ('tasks = ["box"]', "tasks = []", "evaluation.tasks: found"),
        ("epochs = 1", "seed = 3", "training.seed: the recipe has a key seed"),
        ("seed = 1\n", 'seed = 1\nfiles = "../x.csv"\n', "files: unsafe path"),
        ('license = "CC0-1.0"\n', "", "license"),
        ("seed = 1\n", "seed =\n", "not a TOML file"),
        ("seed = 1\n", f"seed = {'[' * 60_000}", r"recipe\.toml: not a TOML file \(it is nested"),
        ("seed = 1\n", f"seed = 1\n#{' ' * 2**20}\n", "bytes is too large for a recipe"),
    ],
)
def test_what_is_wrong_is_named(read, old, new, message):
    with pytest.raises(FormatError, match=message):
        read(TEXT.replace(old, new))


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"recipe\.toml: no such file"):
        read_recipe(tmp_path / "recipe.toml")
