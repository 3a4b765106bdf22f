"""The command that goes on with a model that a person has chosen.

In: a trial, and how the image was opened. Out: a line to type.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from .trials import Trial


def next_command(trial: Trial, image: str, options: Mapping[str, object]) -> str:
    """Return the command that uses a model on the whole image.

    Args:
        trial: What the model did.
        image: The image, as the user named it.
        options: Values by option name, such as ``channel``; None stands for an option not given.

    Returns:
        A command of ``samzoo segment``, or of ``samzoo prompt`` for a model that only answers
        prompts, with X and Y to replace; empty if the model failed.
    """
    if trial.error:
        return ""
    words = ["segment", image, "-o", "labels.tif"]
    if trial.labels is None:
        words = ["prompt", image, "-o", "labels.tif", "--point", "X", "Y"]
    given = {"model": trial.model, "adapter": trial.adapter, **options}
    for name, value in given.items():
        if value is not None:
            words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(["samzoo", *words])
