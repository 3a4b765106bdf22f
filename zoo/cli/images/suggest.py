"""``samzoo suggest``: try models on one image, and draw what they find side by side."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from samzoo.runtime.errors import InputError, SamzooError, StorageError, all_bad
from samzoo.runtime.formats.outputs import check_output
from samzoo.zoo.cli.options import (
    add_diameter,
    add_machine,
    add_output,
    add_plane,
    chosen_plane,
)
from samzoo.zoo.cli.progress import progress_bar
from samzoo.zoo.cli.verb import Result, Verb

if TYPE_CHECKING:
    from samzoo.zoo.suggestions.trials import Trial


@dataclass(frozen=True, kw_only=True)
class SuggestOptions:
    """The image, the models to try, and the sheet."""

    image: Path
    model: tuple[str, ...]
    all: bool
    level: int | None
    series: int | None
    channel: str | None
    plane: int | None
    diameter: float | Literal["auto", "own"] | None
    threads: int | None
    provider: str
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the image, the models and the output."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="image file")
    add_output(parser, "sheet of pictures to write (.png)")
    parser.add_argument(
        "--model", metavar="REF", action="append", default=[],
        help="model to try, a name (see samzoo list) or package folder; repeat it for several "
        "(default: all models on this computer)",
    )  # fmt: skip
    parser.add_argument(
        "--all", action="store_true",
        help="also download and try all models of the indexes that SAMZOO_INDEX names",
    )  # fmt: skip
    add_diameter(parser)
    add_plane(parser)
    add_machine(parser)


def run(options: SuggestOptions) -> Result:
    """Try models on an image, and draw a sheet."""
    from samzoo.zoo.cli.model_loading import source_spec
    from samzoo.zoo.suggestions.commands import next_command
    from samzoo.zoo.suggestions.sheet import write_sheet
    from samzoo.zoo.suggestions.view import read_view

    output = options.output
    if output.suffix.lower() != ".png":
        raise InputError(f"{output}: the sheet is a picture; choose a name that ends in .png")
    check_output(output, force=options.force, inputs=[options.image])
    packages, notes = _packages(options)
    if not packages:
        raise InputError("there is no model on this computer; samzoo list shows what there is")
    view = read_view(source_spec(options.image, **chosen_plane(options)))
    trials = _trials(options, packages, view.image)
    write_sheet(output, options.image.name, view, trials)
    given = {"diameter": options.diameter, **chosen_plane(options)}
    rows = [
        {**trial.facts(), "next": next_command(trial, str(options.image), given)}
        for trial in trials
    ]
    failed = [trial for trial in trials if trial.error]
    return {
        "text": _text(output, trials, rows),
        "sheet": str(output),
        "window": list(view.window),
        "size": list(view.size),
        "models": rows,
        "notes": [
            *notes,
            *view.notes,
            *([] if view.is_whole else [f"tried on {view.line()}"]),
            *(f"{trial.name}: {trial.line()}" for trial in failed),
        ],
        "exit": 4 if failed else 0,
    }


def _packages(options: SuggestOptions) -> tuple[dict[str, Path], list[str]]:
    """Find the packages to try, and say which of this computer cannot be read."""
    from samzoo.runtime.formats.manifest import Manifest
    from samzoo.zoo.hub.model_index import VARIABLE, locations
    from samzoo.zoo.hub.names import resolve
    from samzoo.zoo.reports.model_shelf import known_models, models_here
    from samzoo.zoo.suggestions.trials import is_candidate

    if options.all and options.model:
        raise InputError("give either --model or --all, not both")
    if options.all and not locations():
        raise InputError(f"--all: {VARIABLE} names no index, so there is nothing to download")
    if options.model:
        return {reference: resolve(reference) for reference in options.model}, []
    models, problems = known_models() if options.all else models_here()
    found: dict[str, Path] = {}
    for model in models:
        try:
            folder = resolve(model.name)
            if is_candidate(Manifest.read(folder)):
                found[model.name] = folder
        except SamzooError as error:  # a download that fails stops no other model
            problems.append(f"{model.name}: {error}")
    return found, problems


def _trials(options: SuggestOptions, packages: dict[str, Path], image: Any) -> list[Trial]:
    """Try the models; raises an error if none of them works."""
    from samzoo.zoo.suggestions.trials import try_models

    trials: list[Trial] = []
    with progress_bar() as progress:
        for trial in try_models(
            packages, image, diameter=options.diameter, threads=options.threads,
            provider=options.provider, progress=progress,
        ):  # fmt: skip
            trials.append(trial)
    if all(trial.error for trial in trials):
        kind = {1: RuntimeError, 3: StorageError}.get(min(each.status for each in trials))
        raise (kind or InputError)(
            all_bad("models", [f"{each.name}: {each.error}" for each in trials])
        )
    return trials


def _text(output: Path, trials: list[Trial], rows: list[Result]) -> str:
    lines = [str(output)]
    for trial, row in zip(trials, rows, strict=True):
        lines += ["", f"{trial.name}: {trial.line()}"]
        lines += [f"  doubt: {note}" for note in trial.notes]
        lines += [f"  {row['next']}"] if row["next"] else []
    return "\n".join(lines)


VERB = Verb(
    purpose="try all models on an image, and draw the results side by side",
    example="samzoo suggest examples/nuclei.tif -o sheet.png",
    options=SuggestOptions,
    add_options=add_options,
    run=run,
)
