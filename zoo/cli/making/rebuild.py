"""``samzoo rebuild``: make a published model again, from its recipe and images."""

from __future__ import annotations

import shlex
import shutil
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samzoo.runtime.formats.outputs import check_output_folder, write_bytes, write_folder
from samzoo.zoo.cli.options import add_output
from samzoo.zoo.cli.progress import progress_bar, say
from samzoo.zoo.cli.verb import Result, Verb

if TYPE_CHECKING:
    from samzoo.zoo.recipes.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class RebuildOptions:
    """The recipe, where its images are, and the package."""

    recipe: Path
    data: Path | None
    work: Path | None
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the recipe, the images and the outputs."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="recipe.toml of a model")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER",
        help="folder that has the images, a folder for each set (default: fetch them into the "
        "cache, where the recipe says from where)",
    )  # fmt: skip
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER",
        help="folder for what is between; the same command goes on with what is in it, and leaves "
        "it (default: the output's name with .work)",
    )  # fmt: skip
    add_output(parser, "package folder to write")


def run(options: RebuildOptions) -> Result:
    """Get the images, train, make the package, score it and write its card."""
    from samzoo.zoo.recipes.collection import (
        check_sets,
        fetched,
        in_folder,
        write_training_list,
    )
    from samzoo.zoo.recipes.file_table import read_file_table
    from samzoo.zoo.recipes.recipe import read_recipe
    from samzoo.zoo.recipes.steps import IMAGES, PACKAGE, REPORT, claim_work

    recipe = read_recipe(options.recipe)
    output = options.output
    work = options.work or output.with_name(f"{output.name}.work")
    check_output_folder(output, force=options.force, inputs=[options.recipe.parent, work])
    table = options.recipe.parent / recipe.files
    listed = read_file_table(table)
    check_sets(recipe, listed, where=str(table))
    with progress_bar() as bar:
        if options.data is not None:
            place = in_folder(listed, options.data, report=bar)
        else:
            place = fetched(recipe, listed, report=bar)
    claim_work(recipe, table, work)
    write_training_list(listed, place, work / IMAGES)
    done = _make(recipe, options.recipe.parent, work)

    def fill(folder: Path) -> None:
        shutil.copytree(work / PACKAGE, folder, dirs_exist_ok=True)

    write_folder(output, fill, force=options.force)
    return {
        "text": str(output), "package": str(output), "report": str(work / REPORT),
        "commands": done, "notes": [f"{work} can be deleted"],
    }  # fmt: skip


def _make(recipe: Recipe, folder: Path, work: Path) -> list[str]:
    """Do what is not done yet; returns the commands of all steps."""
    from samzoo.runtime.formats.manifest import MANIFEST_FILE
    from samzoo.training.fit.readiness import LAST, PREVIOUS
    from samzoo.training.methods import get_method
    from samzoo.zoo.recipes import steps

    commands: list[str] = []

    def step(words: list[str], *, unless: Callable[[], bool] = lambda: False) -> None:
        commands.append(shlex.join(["samzoo", *words]))
        if not unless():
            say(commands[-1])
            _run(words)

    base, made = steps.base_of(recipe, folder, work), work / steps.PACKAGE
    method = get_method(recipe.method)
    package = steps.package_words(recipe, base, work, factored=method.factored)
    if base == work / steps.BASE:
        step(["convert", recipe.base, "-o", str(base)], unless=base.exists)
    steps.check_base(recipe, base)
    write_bytes(work / steps.TRAINING, steps.to_toml(recipe.training).encode())
    run = work / steps.RUN
    started = any((run / name).is_file() for name in (LAST, PREVIOUS))
    trained = steps.is_trained(run)
    if not (started or trained):
        shutil.rmtree(run, ignore_errors=True)  # stopped before its first step
    step(steps.train_words(recipe, base, work, resume=started), unless=lambda: trained)
    step(package, unless=(made / MANIFEST_FILE).is_file)
    step(steps.score_words(recipe, work), unless=(work / steps.REPORT).is_file)
    step(steps.card_words(recipe, folder, work))
    return commands


def _run(words: list[str]) -> None:
    """Run a verb as the command line does; its notes go to stderr."""
    from samzoo.zoo.cli.parser import parse

    call = parse(words)
    for note in call.verb.run(call.options).get("notes", ()):
        say(note)


VERB = Verb(
    purpose="make a published model again, from its recipe and images",
    example="samzoo rebuild recipe.toml -o package --data data",
    options=RebuildOptions,
    add_options=add_options,
    run=run,
)
