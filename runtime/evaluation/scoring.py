"""The scores of a model on annotated images, automatic and with a simulated annotator.

In: a model (anything with the three methods of ``Segmenter``), images and true labels. Out: metric
values by task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

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
from .comparison import METRICS, Comparison, scores_of
from .segmenter import Segmenter
from .tasks import CONTROL_TASK, CORRECTED_TASKS, TASKS

N_CORRECTIONS = 7
"""Rounds after the first prompt. Source: PEFT-SAM's evaluation (8 iterations in all)."""

MIN_OBJECT_SIZE = 20
"""Least size in pixels; smaller true objects are mostly remains of annotation (own choice)."""

Scores = dict[str, dict[str, float]]
"""Metric values by task, then by metric."""


class ImageScores(TypedDict):
    """One row of a report; ``content`` is from ``content_identity``."""

    image: str
    labels: str
    content: str
    n_objects: int
    n_removed: int
    scores: Scores


class LeftOutPair(TypedDict):
    """An image with labels that could not be used, and why."""

    image: str
    labels: str
    message: str


class Negatives(TypedDict):
    """Images without objects: how many, and in how many of them something was found."""

    images: int
    with_false_objects: int


class Report(TypedDict):
    """The result of ``evaluate``, ready for JSON."""

    settings: dict[str, Any]
    read: dict[str, object]
    n_images: int
    n_objects: int
    mean: Scores
    negatives: Negatives
    n_left_out: int
    left_out: list[LeftOutPair]
    images: list[ImageScores]


def evaluate(
    model: Segmenter,
    pairs: Sequence[tuple[Path, Path]],
    *,
    tasks: Sequence[str] = TASKS,
    seed: int | None = None,
    min_object_size: int = MIN_OBJECT_SIZE,
    n_corrections: int | None = None,
    meaning: LabelMeaning = AS_NUMBERED,
    read: ReadImage = read_image,
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
        meaning: What the numbers in the label files mean.
        read: Reads an image file.
        lonely: Sentences on files without a partner, from ``match_pairs``; they count as left out.
        progress: Called with ("image: task: objects", objects done, objects in all).
        say: Called with what was read, in one line, and with each sentence about what is odd.

    Returns:
        The settings, what was read, counts, the mean of each metric over images (each image weighs
        the same, as in PEFT-SAM's evaluation), and one row for each image. An image without
        objects has no prompted task, and its mSA is 1 or 0; so it stays out of the means and is
        counted in ``negatives``, unless no image has an object.

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
        scores = evaluate_image(
            model, image, truth, tasks=tasks, seed=seed, image_index=index,
            min_object_size=min_object_size, n_corrections=n_corrections,
            progress=_named(progress, image_path.name),
        )  # fmt: skip
        n_objects = max(int(truth.max()), 0)
        n_removed = np.unique(labels[labels > 0]).size - n_objects
        rows.append(
            ImageScores(
                image=str(image_path), labels=str(label_path), content=content,
                n_objects=n_objects, n_removed=n_removed, scores=scores,
            )
        )  # fmt: skip
    negatives = _negatives(rows)
    if negatives["images"] and say is not None:
        say(_about(negatives, len(rows)))
    return Report(
        settings={
            "tasks": list(tasks), "seed": seed, "min_object_size": min_object_size,
            "n_corrections": n_corrections, "split_components": meaning.split_components,
            "ignore": list(meaning.ignore),
        },
        read=survey.facts(),
        n_images=len(rows),
        n_objects=sum(row["n_objects"] for row in rows),
        mean=_means(rows),
        negatives=negatives,
        n_left_out=len(left_out),
        left_out=left_out,
        images=rows,
    )  # fmt: skip


def _means(rows: Sequence[ImageScores]) -> Scores:
    counted = [row for row in rows if row["n_objects"]] or rows
    return {
        task: {
            metric: float(np.mean([row["scores"][task][metric] for row in counted]))
            for metric in METRICS
        }
        for task in counted[0]["scores"]
    }


def _negatives(rows: Sequence[ImageScores]) -> Negatives:
    empty = [row for row in rows if not row["n_objects"]]
    found = [row for row in empty if row["scores"].get("ais", {"msa": 1.0})["msa"] < 1.0]
    return Negatives(images=len(empty), with_false_objects=len(found))


def _about(negatives: Negatives, n_images: int) -> str:
    count, found = negatives["images"], negatives["with_false_objects"]
    only = count == n_images
    counted = "so the scores are those of empty images" if only else "these stay out of the means"
    return (
        f"{count} of {n_images} images hold no object; {counted}. The automatic segmentation found "
        f"something in {found} of them"
    )


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
        progress: Called with ("task: objects", objects done, objects in all).

    Returns:
        By task: ``msa``, ``sa50``, ``sa75`` and ``dice``. For prompted tasks ``dice`` is the mean
        Dice of the objects' masks. For ``ais``, where no mask belongs to an object, it is the Dice
        of the whole foreground. Labels without an object have no prompted task; for ``ais`` all
        metrics are then 1 if nothing is found, and 0 otherwise.

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
    scores: Scores = {}
    if "ais" in tasks:
        found = model.segment(image)
        scores["ais"] = scores_of(Comparison(found, truth))
    if set(tasks) == {"ais"} or truth.max() <= 0:
        return scores
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
            scores[task] = by_task[task].scores(truth)
    return scores


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
