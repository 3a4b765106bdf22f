"""Loading of the model, and choice of an image's plane, from a verb's options.

In: the options' values. Out: a model, or the plane to read.
"""

from __future__ import annotations

import os
from pathlib import Path

from samzoo.runtime.engine.object_scale import Diameter, ObjectScale, check_diameter
from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.large.file_scale import scale_of_file
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.zoo.cli.options import ModelOptions, RunOptions
from samzoo.zoo.cli.progress import say
from samzoo.zoo.cli.verb import Result
from samzoo.zoo.hub.default_choice import DEFAULT_MODEL, chosen_model, settings_file
from samzoo.zoo.hub.names import load


def load_model(options: ModelOptions) -> Model:
    """Open the model that a verb's options choose; see ``load_named``."""
    return load_named(options.model, options)


def load_named(reference: str | None, options: RunOptions) -> Model:
    """Open a model as a verb's options say.

    Args:
        reference: The model's name or folder; None for the default model.
        options: The other options of ``add_model`` and ``add_diameter``.

    Returns:
        The model, for objects of the diameter if it is a number. What ``auto`` means depends on
        the image; see ``for_image``.

    Raises:
        InputError: The package has no such adapter, or does not take the diameter.
        SamzooError: As for ``load``.
    """
    name = chosen(reference)
    try:
        model = load(name, threads=options.threads, provider=options.provider)
    except NotFoundError as error:
        if reference is not None or name == DEFAULT_MODEL:
            raise
        raise NotFoundError(
            f"{error}. samzoo use chose it ({settings_file()}); choose another, or name one with "
            "--model"
        ) from error
    if options.adapter is not None:
        model.use(options.adapter)
    check_diameter(model.config, options.diameter)
    return model if isinstance(options.diameter, str) else model.for_objects(options.diameter)


def chosen(reference: str | None) -> str:
    """Return the model that a verb's options name, and tell a person of one that they do not.

    Args:
        reference: The option's value.

    Raises:
        SamzooError: As for ``chosen_model``.
    """
    if reference is not None:
        return reference
    own = chosen_model()
    if own is None:
        return DEFAULT_MODEL
    say(f"model {own}, which samzoo use chose")
    return own


def for_image(
    model: Model, spec: SourceSpec, diameter: Diameter, *, progress: Progress | None = None
) -> tuple[Model, ObjectScale]:
    """Return a model for the objects of one image, for work that goes on with parts of it.

    Args:
        model: From ``load_model``.
        spec: The image.
        diameter: The option's value.
        progress: Called with ("size", tiles done, 0) by ``auto``.

    Returns:
        The model, and its scale.

    Raises:
        SamzooError: The image cannot be read, or the model cannot estimate sizes.
    """
    scale = scale_of_file(model, spec, diameter, progress)
    return model.for_objects(scale.changed), scale


def told(scale: ObjectScale, notes: list[str]) -> Result:
    """Tell a person which diameter was estimated, and return the scale for a verb's answer.

    Args:
        scale: The scale.
        notes: Gets the doubt, if there is one.
    """
    if scale.origin in ("estimated", "boxes"):
        say(scale.line())
    if scale.doubt:
        notes.append(scale.doubt)
    return scale.facts()


def source_spec(
    path: Path,
    *,
    level: int | None,
    series: int | None,
    channel: int | str | None,
    plane: int | None,
) -> SourceSpec:
    """Return the plane that ``--level``, ``--series``, ``--channel`` and ``--plane`` name."""
    return SourceSpec(os.path.realpath(path), level or 0, series, channel, plane)
