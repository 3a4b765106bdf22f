"""The scores of a model on an annotated image, automatic and with a simulated annotator.

In: a model (anything with the three methods of ``Segmenter``), an image and true labels. Out: what
was found beside the truth, or metric values, by task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from samzoo.runtime.automatic.ais import remove_small
from samzoo.runtime.errors import ImageError, InputError, shown
from samzoo.runtime.formats.arrays import Array, Labels2D, Progress
from samzoo.runtime.images.label_arrays import IGNORED, check_labels
from samzoo.runtime.images.reading import check_image
from samzoo.runtime.labels.annotation import check_sizes

from .annotator import annotate
from .comparison import Comparison, scores_of
from .report import Scores
from .segmenter import Segmenter
from .tasks import CONTROL_TASK, TASKS

N_CORRECTIONS = 7
"""Rounds after the first prompt. Source: PEFT-SAM's evaluation (8 iterations in all)."""

Control = Callable[[Array], Labels2D]
"""From an image to labels, as ``Segmenter.segment``."""

NO_CONTROLS: Mapping[str, Control] = {}

MIN_OBJECT_SIZE = 20
"""Least size in pixels; smaller true objects are mostly remains of annotation (own choice)."""


def named_progress(progress: Progress | None, name: str) -> Progress | None:
    """Put a name before the stages that are reported."""
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)


def check_tasks(tasks: Sequence[str]) -> None:
    """Check task names before any work is done.

    Raises:
        InputError: A name is unknown, or there is none; the message lists the known names.
    """
    known = ", ".join(TASKS)
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise InputError(f"tasks: found {shown(unknown[0])}, known are: {known}")
    if not tasks:
        raise InputError(f"tasks: expected at least one of: {known}")


def evaluate_image(
    model: Segmenter,
    image: Array,
    labels: Labels2D,
    *,
    tasks: Sequence[str] = TASKS,
    seed: int = 0,
    image_index: int = 0,
    min_object_size: int = MIN_OBJECT_SIZE,
    n_corrections: int = N_CORRECTIONS,
    most_prompted: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """Score a model on one image.

    Args:
        model: The model.
        image: As for ``compare_image``, and likewise all others.
        labels: True labels.
        tasks: A choice of ``TASKS``.
        seed: Seed of the correction points.
        image_index: Position of the image in its data set.
        min_object_size: Least size of true objects in pixels.
        n_corrections: Rounds of corrections.
        most_prompted: Most objects that are prompted.
        progress: Called with ("task: objects", objects done, objects in all).

    Returns:
        By task: ``msa``, ``sa50``, ``sa75`` and ``dice``. For prompted tasks ``dice`` is the mean
        Dice of the objects' masks. For ``ais``, where no mask belongs to an object, it is the Dice
        of the whole foreground. Labels without an object have no prompted task; for ``ais`` all
        metrics are then 1 if nothing is found, and 0 otherwise.

    Raises:
        InputError: A task is unknown.
        ImageError: The sizes differ, or there are objects and none is large enough.
    """
    compared = compare_image(
        model, image, labels, tasks=tasks, seed=seed, image_index=image_index,
        min_object_size=min_object_size, n_corrections=n_corrections, most_prompted=most_prompted,
        progress=progress,
    )  # fmt: skip
    return {task: scores_of(each) for task, each in compared.items()}


def compare_image(
    model: Segmenter,
    image: Array,
    labels: Labels2D,
    *,
    tasks: Sequence[str] = TASKS,
    seed: int = 0,
    image_index: int = 0,
    min_object_size: int = MIN_OBJECT_SIZE,
    n_corrections: int = N_CORRECTIONS,
    most_prompted: int = 0,
    controls: Mapping[str, Control] = NO_CONTROLS,
    each_round: bool = False,
    progress: Progress | None = None,
) -> dict[str, Comparison]:
    """Compare what a model finds in one image with the truth.

    ``point`` prompts each true object at its innermost pixel, ``box`` with its tight box. ``ip``
    and ``ib`` continue with ``n_corrections`` rounds. Each round adds one positive and one
    negative point where the last mask was wrong; masks are not fed back. All objects' masks,
    painted from large to small, give the label image for ``msa``, ``sa50`` and ``sa75``.

    Args:
        model: The model.
        image: ``(height, width)`` or ``(height, width, 3)``.
        labels: ``(height, width)`` integers; 0 is background, and pixels with -1, which nobody
            annotated, count neither for nor against the model.
        tasks: A choice of ``TASKS``. ``box`` adds the control ``box_fill``.
        seed: Seed of the correction points. Each task starts from ``(seed, image_index)``, so that
            no task depends on the others.
        image_index: Position of the image in its data set.
        min_object_size: True objects with fewer pixels are left out before anything else.
        n_corrections: Rounds of corrections in ``ip`` and ``ib``.
        most_prompted: Most objects that the prompted tasks prompt, spread evenly over the objects'
            numbers; the others count as background there. 0 prompts all.
        controls: Other methods of automatic segmentation by name, compared beside the task ``ais``.
        each_round: Also compare the masks after each round of corrections: ``Comparison.rounds``.
        progress: Called with ("task: objects", objects done, objects in all).

    Returns:
        By task and control, what was found beside the truth. Labels without an object have no
        prompted task.

    Raises:
        InputError: A task is unknown.
        ImageError: The sizes differ, or there are objects and none is large enough.

    Source:
        PEFT-SAM's evaluation, ``run_inference_with_iterative_prompting`` of micro-sam 1.8.14.
    """
    check_tasks(tasks)
    image, labels = check_image(image), check_labels(labels, ignored_allowed=True)
    check_sizes(image, labels, image_where="the image", label_where="labels")
    truth = large_objects(labels, min_object_size, where="labels")
    compared: dict[str, Comparison] = {}
    if "ais" in tasks:
        compared["ais"] = Comparison(model.segment(image), truth)
        compared |= {name: Comparison(each(image), truth) for name, each in controls.items()}
    if set(tasks) == {"ais"} or truth.max() <= 0:
        return compared
    truth = some_objects(truth, most_prompted)
    embedding = model.embed(image)
    for first, corrected in (("point", "ip"), ("box", "ib")):
        wanted = [task for task in (first, corrected) if task in tasks]
        if not wanted:
            continue
        tallies = annotate(
            model, embedding, truth,
            first="box" if first == "box" else "point",
            rounds=n_corrections if corrected in tasks else 0,
            rng=np.random.default_rng([seed, image_index]),
            each_round=each_round,
            progress=named_progress(progress, wanted[-1]),
        )  # fmt: skip
        by_task = {first: tallies.first, corrected: tallies.last, CONTROL_TASK: tallies.filled}
        for task in [*wanted, CONTROL_TASK] if "box" in wanted else wanted:
            compared[task] = by_task[task].comparison(truth)
        if corrected in compared and tallies.rounds:
            rounds = [tally.comparison(truth) for tally in tallies.rounds]
            compared[corrected] = replace(compared[corrected], rounds=rounds)
    return compared


def large_objects(labels: Labels2D, min_object_size: int, *, where: str) -> Labels2D:
    """Drop small objects and number the others from 1; -1 stays.

    Raises:
        ImageError: There are objects, and none is large enough.
    """
    ignored = labels == IGNORED
    objects = np.where(ignored, 0, labels)
    ids, positions = np.unique(objects, return_inverse=True)
    dense = positions.reshape(labels.shape).astype(np.int32) + np.int32(ids[0] != 0)
    truth = remove_small(dense, min_object_size)
    if objects.any() and not truth.any():
        raise ImageError(
            f"{where}: no object of at least {min_object_size} pixels to compare with; "
            "leave the image out or lower min_object_size"
        )
    truth[ignored] = IGNORED
    return truth


def some_objects(truth: Labels2D, most: int) -> Labels2D:
    """Keep at most so many objects, spread evenly over their numbers, and number them from 1.

    Args:
        truth: ``(height, width)``, objects numbered from 1 without gaps; -1 is not annotated.
        most: The most objects; 0 keeps all.

    Returns:
        The labels; objects that were left out are background.
    """
    count = int(truth.max())
    if not most or count <= most:
        return truth
    table = np.zeros(count + 1, np.int32)
    table[np.rint(np.linspace(1, count, most)).astype(int)] = np.arange(1, most + 1)
    return np.where(truth == IGNORED, IGNORED, table[np.maximum(truth, 0)])
