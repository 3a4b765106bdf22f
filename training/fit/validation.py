"""The validation of a model in training, on images set aside for it.

In: a runtime ``Model`` around the networks in torch, annotated images. Out: mean mSA by task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.evaluation.comparison import scores_of
from samzoo.runtime.evaluation.scoring import check_tasks, compare_image, evaluate_image
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.model import Model
from samzoo.training.config import TrainConfig
from samzoo.training.data.annotated import AnnotatedImage

from .worst import MOST, Judged


def possible_tasks(config: TrainConfig) -> list[str]:
    """Return the wanted validation tasks, without ``ais`` if there is no AIS decoder.

    Raises:
        InputError: A task is unknown, or none is left.
    """
    check_tasks(config.validation_tasks)
    tasks = [t for t in config.validation_tasks if t != "ais" or config.ais_decoder is not None]
    if not tasks:
        raise InputError("validation_tasks: only 'ais' is named, but ais_decoder is off")
    return tasks


def check_validation_data(val_data: Sequence[AnnotatedImage], min_object_size: int) -> None:
    """Check before training that validation can run.

    Raises:
        InputError: There is no image.
        ImageError: No image has an object, or an image has only objects that are too small.
    """
    if not val_data:
        raise InputError("val_data: expected at least one image to validate on, got none")
    if not any(len(a.areas) for a in val_data):
        raise ImageError("no validation image holds an object; scores need at least one")
    for a in val_data:
        sizes = a.areas
        if len(sizes) and not (sizes >= min_object_size).any():
            raise ImageError(
                f"{a.name}: no object of at least {min_object_size} pixels to validate on; "
                "leave the image out or lower min_object_size"
            )


def validate(
    model_of: Callable[[AnnotatedImage], Model],
    val_data: Sequence[AnnotatedImage],
    tasks: Sequence[str],
    config: TrainConfig,
    *,
    most_prompted: int = 0,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Score a model on validation images.

    Args:
        model_of: Gives the model as it sees an image, at its scale.
        val_data: At least one annotated image.
        tasks: From ``possible_tasks``.
        config: The run's settings; the seed and the least object size are used.
        most_prompted: Most objects that are prompted in an image; 0 is all.
        progress: Called with ("validation", done, total).

    Returns:
        Mean mSA over images by task (an image without objects counts in ``ais`` alone: 1 if nothing
        is found there, else 0), and ``score``, the mean over tasks.
    """
    by_task: dict[str, list[float]] = {task: [] for task in tasks}
    for done, a in enumerate(val_data, start=1):
        scores = evaluate_image(
            model_of(a),
            a.image,
            a.labels,
            tasks=tasks,
            seed=config.seed,
            min_object_size=config.min_object_size,
            most_prompted=most_prompted,
        )
        for task, found in scores.items():
            if task in by_task:  # an image without objects has no prompted task
                by_task[task].append(found["msa"])
        if progress is not None:
            progress("validation", done, len(val_data))
    means = {task: float(np.mean(values)) for task, values in by_task.items()}
    return {**means, "score": float(np.mean(list(means.values())))}


def judged(
    model_of: Callable[[AnnotatedImage], Model],
    val_data: Sequence[AnnotatedImage],
    task: str,
    config: TrainConfig,
) -> list[Judged]:
    """Segment validation images again, to look at them.

    Args:
        model_of: As in ``validate``.
        val_data: As in ``validate``.
        task: One of the tasks.
        config: As in ``validate``.

    Returns:
        What was found in the images with the lowest mSA, as many as a sheet has.
    """
    found: list[Judged] = []
    for a in val_data:
        compared = compare_image(
            model_of(a),
            a.image,
            a.labels,
            tasks=[task],
            seed=config.seed,
            min_object_size=config.min_object_size,
        )
        if task in compared:  # an image without objects has no prompted task
            each = compared[task]
            score = scores_of(each)["msa"]
            found.append(Judged(a.name, a.image, each.truth, each.labels, score))
            # No more than a sheet has stay in memory.
            found = sorted(found, key=lambda judged: judged.score)[:MOST]
    return found
