"""The scores of a model on a set of annotated image files, and the report on them.

In: a model (anything with the three methods of ``Segmenter``), image and label files. Out: a
``Report``, ready for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from samzoo.runtime.errors import ImageError, InputError, SamzooError, all_bad
from samzoo.runtime.formats.arrays import Array, Labels2D, Progress
from samzoo.runtime.images.label_arrays import object_areas
from samzoo.runtime.images.reading import read_image
from samzoo.runtime.labels.annotation import AS_NUMBERED, LabelMeaning, ReadImage, read_pair
from samzoo.runtime.labels.survey import Survey

from .comparison import Comparison, scores_of
from .intervals import group_numbers, score_intervals
from .orientations import orientation_scores, turned_scores
from .report import (
    ImageScores,
    Intervals,
    LeftOutPair,
    Negatives,
    Rounds,
    Scores,
    about_negatives,
    matches_in_json,
    mean_boundary_errors,
    mean_corrections,
    mean_scores,
    merged_scores,
    negatives,
    precision_scores,
)
from .scoring import (
    MIN_OBJECT_SIZE,
    N_CORRECTIONS,
    NO_CONTROLS,
    Control,
    check_tasks,
    compare_image,
    large_objects,
    named_progress,
)
from .segmenter import Segmenter, TimedSegmenter
from .subsets import ClassScores, StratumScores, by_class, by_stratum
from .tasks import CORRECTED_TASKS, TASKS
from .verdict import about_controls

Watch = Callable[[ImageScores, Array, Labels2D, Mapping[str, Comparison]], object]
"""Called with an image's row, the image, its truth, and what each task and control found."""


class Report(TypedDict):
    """The result of ``evaluate``, ready for JSON.

    ``controls`` has sentences on those that win, ``intervals`` both ends of the 95 % interval of
    each score, from draws of the ``n_groups`` groups. ``boundary_error`` is in pixels, the mean
    over all objects that were found. ``strata``, ``classes`` and ``orientations`` are empty where
    nothing is known or asked. ``corrections`` are means over images after each number of
    corrections, ``speed`` has the median of ``seconds_per_megapixel`` of ``ais``, in wall time.
    """

    settings: dict[str, Any]
    read: dict[str, object]
    n_images: int
    n_objects: int
    mean: Scores
    ap: Scores
    boundary_error: dict[str, float | None]
    controls: list[str]
    intervals: Intervals
    n_groups: int
    strata: dict[str, StratumScores]
    classes: dict[str, ClassScores]
    orientations: Scores
    corrections: Rounds
    speed: dict[str, float]
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
    controls: Mapping[str, Control] = NO_CONTROLS,
    orientations: bool = False,
    meaning: LabelMeaning = AS_NUMBERED,
    read: ReadImage = read_image,
    groups: Sequence[str] = (),
    strata: Sequence[str] = (),
    classes: Sequence[Sequence[str]] = (),
    lonely: Sequence[str] = (),
    watch: Watch | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Score a model on image and label files.

    All files are read and doubted before the first is scored. A pair that cannot be used is left
    out and named in the report; the others are scored.

    Args:
        model: The model.
        pairs: Image and label files, at least one pair, as from ``pairs.match_pairs``.
        tasks: A choice of ``TASKS``.
        seed: Seed of the correction points in ``ip`` and ``ib``; 0 by default.
        min_object_size: True objects with fewer pixels are left out.
        n_corrections: Rounds of corrections in ``ip`` and ``ib``; ``N_CORRECTIONS`` by default.
        controls: Other methods of automatic segmentation by name, scored beside the task ``ais``.
        orientations: Score ``ais`` on each image turned and mirrored in all eight ways, too.
        meaning: What the numbers in the label files mean.
        read: Reads an image file.
        groups: The group (field, scene, patient) of each pair, for the intervals; none, or an empty
            one where nobody knows.
        strata: The kind of each image, likewise; each kind has scores of its own.
        classes: The class of each object of each pair, in the order of the labels, likewise.
        lonely: Sentences on files without a partner, from ``match_pairs``; they count as left out.
        watch: Called after each image with what was found in it.
        progress: Called with ("image: task: objects", objects done, objects in all).
        say: Called with what was read, in one line, and with each sentence about what is odd.

    Returns:
        The settings, what was read, counts, the mean of each metric over images (each image weighs
        the same, as in PEFT-SAM's evaluation), ``ap``, the average precision over all objects of
        all images, and one row for each image. An image without objects has no prompted task, and
        its mSA is 1 or 0; so it stays out of the means and is counted in ``negatives``, unless no
        image has an object. What is found in it is a false positive for ``ap``.

    Raises:
        InputError: A task is unknown, there is no pair, an option of corrections is given for tasks
            that have none, controls or orientations without ``ais``, or classes are given for parts
            that were split.
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
    for option, wanted in (("controls", bool(controls)), ("orientations", orientations)):
        if wanted and "ais" not in tasks:
            raise InputError(f"{option}: is for the task ais; found {', '.join(tasks)}; omit it")
    if meaning.split_components and any(classes):
        raise InputError(
            "classes: are those of the labels in the files, which split_components numbers anew; "
            "omit one of them"
        )
    seed = 0 if seed is None else seed
    n_corrections = N_CORRECTIONS if n_corrections is None else n_corrections
    if not pairs:
        raise InputError("pairs: expected at least one image with labels, got none")
    survey = Survey()
    left_out = [LeftOutPair(image="", labels="", message=sentence) for sentence in lonely]
    usable: list[int] = []
    for index, (image_path, label_path) in enumerate(pairs):
        check = partial(
            _check_truth, min_object_size=min_object_size, where=str(label_path),
            classes=classes[index] if classes else (),
        )  # fmt: skip
        try:
            read_pair(
                image_path, label_path, meaning=meaning, read=read, survey=survey, check=check
            )
        except SamzooError as error:
            if len(pairs) == 1:
                raise
            left_out.append(
                LeftOutPair(image=str(image_path), labels=str(label_path), message=str(error))
            )
            continue
        usable.append(index)
    if not usable:
        raise ImageError(all_bad("pairs", [pair["message"] for pair in left_out]))
    if say is not None:
        for sentence in survey.sentences():
            say(sentence)
    rows: list[ImageScores] = []
    timed = TimedSegmenter(model)
    for index, content in zip(usable, survey.contents, strict=True):
        image_path, label_path = pairs[index]
        image, labels = read_pair(image_path, label_path, meaning=meaning, read=read)
        truth = large_objects(labels, min_object_size, where=str(label_path))
        compared = compare_image(
            timed, image, truth, tasks=tasks, seed=seed, image_index=index,
            min_object_size=min_object_size, n_corrections=n_corrections, controls=controls,
            each_round=True, progress=named_progress(progress, image_path.name),
        )  # fmt: skip
        areas = object_areas(labels)
        named = classes[index] if classes else ()
        kept = [name for name, area in zip(named, areas, strict=False) if area >= min_object_size]
        n_objects = max(int(truth.max()), 0)
        row = ImageScores(
            image=str(image_path), labels=str(label_path), content=content,
            group=groups[index] if groups else "", stratum=strata[index] if strata else "",
            classes=kept, n_objects=n_objects, n_removed=len(areas) - n_objects,
            scores={task: scores_of(each) for task, each in compared.items()},
            matches={task: matches_in_json(each.matches) for task, each in compared.items()},
            boundary_errors={task: each.boundary_errors for task, each in compared.items()},
            orientations=turned_scores(model, image, truth, compared["ais"])
            if orientations else [],
            corrections={
                task: [scores_of(each) for each in compared[task].rounds]
                for task in CORRECTED_TASKS
                if task in compared and compared[task].rounds
            },
        )  # fmt: skip
        rows.append(row)
        if watch is not None:
            watch(row, image, truth, compared)
    empty = negatives(rows)
    if empty["images"] and say is not None:
        say(about_negatives(empty, len(rows)))
    mean, ap = mean_scores(rows), precision_scores(rows)
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
        boundary_error=mean_boundary_errors(rows),
        controls=about_controls(merged_scores(mean, ap)),
        intervals=score_intervals(rows),
        n_groups=group_numbers(rows)[1],
        strata=by_stratum(rows),
        classes=by_class(rows),
        orientations=orientation_scores(rows),
        corrections=mean_corrections(rows),
        speed=timed.speed,
        negatives=empty,
        n_left_out=len(left_out),
        left_out=left_out,
        images=rows,
    )  # fmt: skip


def _check_truth(
    labels: Labels2D, *, min_object_size: int, where: str, classes: Sequence[str]
) -> None:
    """Refuse labels without an object that is large enough, and classes of other objects."""
    large_objects(labels, min_object_size, where=where)
    n_objects = int(np.unique(labels[labels > 0]).size)
    if classes and len(classes) != n_objects:
        raise ImageError(
            f"{where}: holds {n_objects} objects, but {len(classes)} classes are named for it; "
            "name the class of each object, in the order of the labels"
        )
