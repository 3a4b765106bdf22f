"""The scores of a model on annotated images, automatic and with a simulated annotator.

In: a model (anything with the three methods of ``Segmenter``), images and true labels. Out: metric
values by task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from samzoo.runtime.automatic.ais import remove_small
from samzoo.runtime.errors import ImageError, InputError, SamzooError, all_bad, shown
from samzoo.runtime.formats.arrays import Array, Labels2D, Progress
from samzoo.runtime.images.label_arrays import IGNORED, check_labels
from samzoo.runtime.images.reading import check_image, read_image
from samzoo.runtime.labels.annotation import (
    AS_NUMBERED,
    LabelMeaning,
    ReadImage,
    check_sizes,
    read_pair,
)
from samzoo.runtime.labels.survey import Survey

from .annotator import annotate
from .comparison import Comparison, scores_of
from .intervals import group_numbers, score_intervals
from .report import (
    ImageScores,
    LeftOutPair,
    Report,
    Scores,
    about_negatives,
    matches_in_json,
    mean_scores,
    merged_scores,
    negatives,
    precision_scores,
)
from .segmenter import Segmenter
from .tasks import CONTROL_TASK, CORRECTED_TASKS, TASKS
from .verdict import about_controls

N_CORRECTIONS = 7
"""Rounds after the first prompt. Source: PEFT-SAM's evaluation (8 iterations in all)."""

Control = Callable[[Array], Labels2D]
"""From an image to labels, as ``Segmenter.segment``."""

NO_CONTROLS: Mapping[str, Control] = {}

MIN_OBJECT_SIZE = 20
"""Least size in pixels; smaller true objects are mostly remains of annotation (own choice)."""


def evaluate(
    model: Segmenter,
    pairs: Sequence[tuple[Path, Path]],
    *,
    tasks: Sequence[str] = TASKS,
    seed: int | None = None,
    min_object_size: int = MIN_OBJECT_SIZE,
    n_corrections: int | None = None,
    controls: Mapping[str, Control] = NO_CONTROLS,
    meaning: LabelMeaning = AS_NUMBERED,
    read: ReadImage = read_image,
    groups: Sequence[str] = (),
    lonely: Sequence[str] = (),
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Score a model on image and label files.

    All files are read and doubted before the first is scored. A pair that cannot be used is left
    out and named in the report; the others are scored.

    Args:
        model: The model.
        pairs: Image and label files, at least one pair, as from ``reading.match_pairs``.
        tasks: A choice of ``TASKS``.
        seed: Seed of the correction points in ``ip`` and ``ib``; 0 by default.
        min_object_size: True objects with fewer pixels are left out.
        n_corrections: Rounds of corrections in ``ip`` and ``ib``; ``N_CORRECTIONS`` by default.
        controls: Other methods of automatic segmentation by name, scored beside the task ``ais``.
        meaning: What the numbers in the label files mean.
        read: Reads an image file.
        groups: The group (field, scene, patient) of each pair, for the rows of the report; empty if
            nobody knows.
        lonely: Sentences on files without a partner, from ``match_pairs``; they count as left out.
        progress: Called with ("image: task: objects", objects done, objects in all).
        say: Called with what was read, in one line, and with each sentence about what is odd.

    Returns:
        The settings, what was read, counts, the mean of each metric over images (each image weighs
        the same, as in PEFT-SAM's evaluation), ``ap``, the average precision over all objects of
        all images, and one row for each image. An image without objects has no prompted task, and
        its mSA is 1 or 0; so it stays out of the means and is counted in ``negatives``, unless no
        image has an object. What is found in it is a false positive for ``ap``.

    Raises:
        InputError: A task is unknown, there is no pair, or an option of corrections is given for
            tasks that have none.
        ImageError: No pair is usable; the message says why for each.
    """
    check_tasks(tasks)
    if not set(tasks) & set(CORRECTED_TASKS):
        for option, given in (("seed", seed), ("n_corrections", n_corrections)):
            if given is not None:
                raise InputError(
                    f"{option}: is for the tasks {' and '.join(CORRECTED_TASKS)}, which correct "
                    f"masks with random points; found {', '.join(tasks)}; omit it"
                )
    seed = 0 if seed is None else seed
    n_corrections = N_CORRECTIONS if n_corrections is None else n_corrections
    if not pairs:
        raise InputError("pairs: expected at least one image with labels, got none")
    survey = Survey()
    usable: list[tuple[int, Path, Path]] = []
    left_out = [LeftOutPair(image="", labels="", message=sentence) for sentence in lonely]
    for index, (image_path, label_path) in enumerate(pairs):
        large = partial(_large_objects, min_object_size=min_object_size, where=str(label_path))
        try:
            read_pair(
                image_path, label_path, meaning=meaning, read=read, survey=survey, check=large
            )
        except SamzooError as error:
            if len(pairs) == 1:
                raise
            left_out.append(
                LeftOutPair(image=str(image_path), labels=str(label_path), message=str(error))
            )
            continue
        usable.append((index, image_path, label_path))
    if not usable:
        raise ImageError(all_bad("pairs", [pair["message"] for pair in left_out]))
    if say is not None:
        for sentence in survey.sentences():
            say(sentence)
    rows: list[ImageScores] = []
    for (index, image_path, label_path), content in zip(usable, survey.contents, strict=True):
        image, labels = read_pair(image_path, label_path, meaning=meaning, read=read)
        truth = _large_objects(labels, min_object_size, where=str(label_path))
        compared = compare_image(
            model, image, truth, tasks=tasks, seed=seed, image_index=index,
            min_object_size=min_object_size, n_corrections=n_corrections, controls=controls,
            progress=_named(progress, image_path.name),
        )  # fmt: skip
        n_objects = max(int(truth.max()), 0)
        n_removed = np.unique(labels[labels > 0]).size - n_objects
        rows.append(
            ImageScores(
                image=str(image_path), labels=str(label_path), content=content,
                group=groups[index] if groups else "",
                n_objects=n_objects, n_removed=n_removed,
                scores={task: scores_of(each) for task, each in compared.items()},
                matches={task: matches_in_json(each.matches) for task, each in compared.items()},
            )
        )  # fmt: skip
    empty = negatives(rows)
    if empty["images"] and say is not None:
        say(about_negatives(empty, len(rows)))
    mean, ap = mean_scores(rows), precision_scores(rows)
    lost = about_controls(merged_scores(mean, ap))
    return Report(
        settings={
            "tasks": list(tasks), "seed": seed, "min_object_size": min_object_size,
            "n_corrections": n_corrections, "split_components": meaning.split_components,
            "ignore": list(meaning.ignore),
        },
        read=survey.facts(),
        n_images=len(rows),
        n_objects=sum(row["n_objects"] for row in rows),
        mean=mean,
        ap=ap,
        controls=lost,
        intervals=score_intervals(rows),
        n_groups=group_numbers(rows)[1],
        negatives=empty,
        n_left_out=len(left_out),
        left_out=left_out,
        images=rows,
    )  # fmt: skip


def _named(progress: Progress | None, name: str) -> Progress | None:
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
        min_object_size=min_object_size, n_corrections=n_corrections, progress=progress,
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
    controls: Mapping[str, Control] = NO_CONTROLS,
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
        controls: Other methods of automatic segmentation by name, compared beside the task ``ais``.
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
    truth = _large_objects(labels, min_object_size, where="labels")
    compared: dict[str, Comparison] = {}
    if "ais" in tasks:
        compared["ais"] = Comparison(model.segment(image), truth)
        compared |= {name: Comparison(each(image), truth) for name, each in controls.items()}
    if set(tasks) == {"ais"} or truth.max() <= 0:
        return compared
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
            progress=_named(progress, wanted[-1]),
        )  # fmt: skip
        by_task = {first: tallies.first, corrected: tallies.last, CONTROL_TASK: tallies.filled}
        for task in [*wanted, CONTROL_TASK] if "box" in wanted else wanted:
            compared[task] = by_task[task].comparison(truth)
    return compared


def _large_objects(labels: Labels2D, min_object_size: int, *, where: str) -> Labels2D:
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
