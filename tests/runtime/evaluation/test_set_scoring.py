"""Scores of sets of files: reports, what is left out, strata, classes and orientations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.draw import disk

from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import SHOWN_PRECISIONS
from samzoo.runtime.evaluation.set_scoring import evaluate
from samzoo.runtime.evaluation.tasks import CONTROL_TASK
from samzoo.runtime.images.reading import write_labels
from samzoo.runtime.labels.annotation import LabelMeaning


def make_labels(n_objects=6, shape=(60, 90)):
    labels = np.zeros(shape, np.int32)
    for index in range(n_objects):
        center = (12 + 30 * (index // 3), 12 + 30 * (index % 3))
        labels[disk(center, 6 + index % 3, shape=shape)] = 10 * (index + 1)
    return labels


def image_of(labels):
    return (labels > 0).astype(np.uint8) * 200


class Knower:
    """A model that finds all objects of ``labels``, in whatever image."""

    def __init__(self, labels):
        self.labels = labels

    def embed(self, image):
        return image

    def prompt(self, embedding, *, points=None, point_labels=None, boxes=None):
        at = points[:, 0] if boxes is None else (boxes[:, :2] + boxes[:, 2:]) / 2
        ids = self.labels[at[:, 1].astype(int), at[:, 0].astype(int)]
        return self.labels[None] == ids[:, None, None], np.ones(len(ids), np.float32), None

    def segment(self, image):
        return self.labels.copy()


@pytest.mark.parametrize("option", ["seed", "n_corrections"])
def test_an_option_of_corrections_is_refused_for_tasks_without_them(option):
    labels = make_labels()
    given: dict[str, Any] = {option: 3}
    with pytest.raises(
        InputError, match=f"{option}: is for the tasks ip and ib, .* found ais, box"
    ):
        evaluate(Knower(labels), [], tasks=["ais", "box"], **given)


def test_a_report_holds_means_rows_counts_and_settings(tmp_path):
    labels = make_labels()
    pairs = []
    for name, shown in (("one", labels), ("two", np.where(labels < 40, labels, 0))):
        pairs.append((tmp_path / f"{name}.png", tmp_path / f"{name}.tif"))
        write_labels(pairs[-1][0], image_of(labels).astype(np.int32))
        write_labels(pairs[-1][1], shown)
    told = []
    report = evaluate(
        Knower(labels), pairs, tasks=["ais", "box"], min_object_size=120,
        progress=lambda *arguments: told.append(arguments),
    )  # fmt: skip
    rows = report["images"]
    assert [(row["n_objects"], row["n_removed"]) for row in rows] == [(4, 2), (2, 1)]
    assert (report["n_images"], report["n_objects"]) == (2, 6)
    assert rows[0]["labels"] == str(pairs[0][1])
    ais = [row["scores"]["ais"]["msa"] for row in rows]
    assert report["mean"]["ais"]["msa"] == pytest.approx(np.mean(ais))
    assert set(report["mean"]) == {"ais", "box", CONTROL_TASK}
    assert told == [("one.png: box: objects", 4, 4), ("two.png: box: objects", 2, 2)]
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["settings"]["min_object_size"] == 120
    assert report["boundary_error"] == {
        "ais": 0.0,
        "box": 0.0,
        CONTROL_TASK: pytest.approx(1, abs=1),
    }
    assert rows[0]["boundary_errors"]["ais"] == [0.0] * 4


def test_images_without_objects_stay_out_of_the_means_and_are_counted(tmp_path):
    labels = make_labels()
    pairs: list[tuple[Path, Path]] = []
    for name, truth in (("full", labels), ("empty", np.zeros_like(labels))):
        pair = tmp_path / f"{name}.tif", tmp_path / f"{name}_labels.tif"
        write_labels(pair[0], np.where(labels > 0, 200 + len(pairs), 0))
        write_labels(pair[1], truth)
        pairs.append(pair)
    said: list[str] = []
    report = evaluate(Knower(labels), pairs, tasks=["ais", "box"], say=said.append)
    assert report["mean"]["ais"]["msa"] == report["mean"]["box"]["msa"] == 1.0
    assert report["negatives"] == {"images": 1, "with_false_objects": 1}
    assert report["images"][1]["scores"]["ais"]["msa"] == 0.0
    assert said[0].startswith("2 images, 6 objects, median diameter 14 px")
    assert "1 of 2 images hold no object; these stay out of the means" in said[-1]
    only = evaluate(Knower(labels), pairs[1:], tasks=["ais", "box"], say=said.append)
    assert only["mean"] == {"ais": dict.fromkeys(METRICS, 0.0)}
    assert "so the scores are those of empty images" in said[-1]


def test_a_bad_pair_does_not_stop_the_others_and_is_named_in_the_report(tmp_path):
    labels = make_labels()
    model = Knower(labels)
    for name in "abc":
        write_labels(tmp_path / f"{name}.tif", labels + 7)
        write_labels(tmp_path / f"{name}_truth.tif", labels if name != "b" else labels[:-1])
    pairs = [(tmp_path / f"{name}.tif", tmp_path / f"{name}_truth.tif") for name in "abc"]
    report = evaluate(model, pairs, tasks=["ais"])
    assert (report["n_images"], report["n_left_out"]) == (2, 1)
    assert [Path(row["image"]).name for row in report["images"]] == ["a.tif", "c.tif"]
    assert Path(report["left_out"][0]["image"]).name == "b.tif"
    assert "59 x 90" in report["left_out"][0]["message"]
    assert report["read"]["images"] == 2
    json.dumps(report)


def test_no_pair_is_refused():
    with pytest.raises(InputError, match="at least one image"):
        evaluate(Knower(make_labels()), [])


def test_bad_pairs_alone_are_an_error_that_names_all(tmp_path):
    pairs = [(tmp_path / f"{name}.tif", tmp_path / f"{name}_truth.tif") for name in "ab"]
    with pytest.raises(ImageError, match=r"2 pairs cannot be used:(\n.*a\.tif.*)(\n.*b\.tif.*)"):
        evaluate(Knower(make_labels()), pairs)


@pytest.fixture
def write_pairs(tmp_path):
    """Writes label images, and images that show them."""

    def write(*truths):
        pairs = []
        for index, truth in enumerate(truths):
            pair = tmp_path / f"{index}.tif", tmp_path / f"{index}_truth.tif"
            write_labels(pair[0], np.where(truth > 0, 200 + index, 0).astype(np.int32))
            write_labels(pair[1], truth)
            pairs.append(pair)
        return pairs

    return write


def test_groups_give_intervals_and_strata_scores_of_their_own(write_pairs):
    labels = make_labels()
    half = np.where(labels < 40, labels, 0)
    report = evaluate(
        Knower(labels), write_pairs(labels, labels, half), tasks=["ais"],
        groups=["a", "a", "b"], strata=["full", "full", "half"],
    )  # fmt: skip
    assert report["n_groups"] == 2
    assert report["intervals"]["ais"]["sa50"] == pytest.approx([0.5, 1.0])
    assert list(report["strata"]) == ["full", "half"]
    full, other = report["strata"].values()
    assert (full["n_images"], full["n_groups"], full["n_objects"]) == (2, 1, 12)
    assert (full["mean"]["ais"]["msa"], other["mean"]["ais"]["msa"]) == (1.0, 0.5)
    assert (full["intervals"], other["ap"]["ais"]["ap50"]) == ({}, 0.5)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_classes_count_what_was_found_of_their_objects_that_are_large_enough(write_pairs):
    labels = make_labels()
    known = np.where(labels != 20, labels, 0)
    named = ["nerve", "nerve", "vessel", "vessel", "vessel", "vessel"]
    report = evaluate(
        Knower(known), write_pairs(labels, labels), tasks=["ais"], classes=[named, ()],
        min_object_size=120,
    )  # fmt: skip
    assert report["images"][0]["classes"] == ["nerve", "vessel", "vessel", "vessel"]
    assert report["classes"]["nerve"] == {
        "n_images": 1, "n_objects": 1,
        "found": {"ais": {"found50": 0.0, "found75": 0.0, "iou": 0.0}},
    }  # fmt: skip
    assert report["classes"]["vessel"]["n_objects"] == 3
    assert report["classes"]["vessel"]["found"]["ais"] == dict.fromkeys(
        ("found50", "found75", "iou"), 1.0
    )


def test_classes_of_other_objects_are_refused(write_pairs):
    pairs = write_pairs(make_labels())
    model = Knower(make_labels())
    with pytest.raises(ImageError, match=r"0_truth\.tif: holds 6 objects, but 2 classes"):
        evaluate(model, pairs, tasks=["ais"], classes=[["a", "b"]])
    with pytest.raises(InputError, match=r"classes: .*split_components"):
        evaluate(
            model, pairs, tasks=["ais"], classes=[["a"]],
            meaning=LabelMeaning(split_components=True),
        )  # fmt: skip


class Upright(Knower):
    """A model that misses an object in images that lie on their side."""

    def segment(self, image):
        found = np.where(image > 0, 1, 0) if image.shape[0] > image.shape[1] else self.labels
        return found.astype(np.int32)


def test_orientations_are_the_range_over_eight_scores_of_the_set(write_pairs):
    labels = make_labels(1)
    square = np.zeros((60, 60), np.int32)
    square[20:40, 20:40] = 7
    model = Upright(labels)
    report = evaluate(model, write_pairs(labels), tasks=["ais"], orientations=True)
    scores = report["orientations"]
    assert list(scores) == [*METRICS, *SHOWN_PRECISIONS]
    assert len(report["images"][0]["orientations"]) == 8
    # Upside down the object is elsewhere, and mirrored as well; on its side it is all that is lit.
    assert scores["msa"] == {"mean": 5 / 8, "low": 0.0, "high": 1.0, "spread": 1.0}
    assert scores["ap50"] == {"mean": 5 / 8, "low": 0.0, "high": 1.0}
    assert report["mean"]["ais"]["msa"] == report["images"][0]["orientations"][0]["scores"]["msa"]
    assert evaluate(model, write_pairs(labels), tasks=["ais"])["orientations"] == {}


@pytest.mark.parametrize("option", ["controls", "orientations"])
def test_what_is_for_automatic_segmentation_is_refused_without_it(write_pairs, option):
    given: dict[str, Any] = {option: {"none": image_of} if option == "controls" else True}
    with pytest.raises(InputError, match=f"{option}: is for the task ais; found box; omit it"):
        evaluate(Knower(make_labels()), write_pairs(make_labels()), tasks=["box"], **given)


def test_a_watcher_sees_each_image_with_what_was_found(write_pairs):
    labels = make_labels()
    seen: list[Any] = []
    report = evaluate(
        Knower(labels), write_pairs(labels, labels), tasks=["ais", "box"],
        controls={"none": lambda image: np.zeros(image.shape, np.int32)},
        watch=lambda *found: seen.append(found),
    )  # fmt: skip
    assert [row for row, *_ in seen] == report["images"]
    _, image, truth, compared = seen[1]
    assert (image.shape, truth.max()) == (labels.shape, 6)
    assert list(compared) == ["ais", "none", "box", CONTROL_TASK]
    assert report["mean"]["none"]["msa"] == 0.0


def test_a_report_says_how_masks_improve_and_how_long_it_takes(tmp_path):
    labels = make_labels()
    pairs: list[tuple[Path, Path]] = []
    for name in ("a", "b"):
        pair = tmp_path / f"{name}.tif", tmp_path / f"{name}_labels.tif"
        write_labels(pair[0], image_of(labels).astype(np.int32) + len(pairs))
        write_labels(pair[1], labels)
        pairs.append(pair)
    report = evaluate(Knower(labels), pairs, tasks=["ais", "ip", "ib"], n_corrections=2)
    assert {task: len(rounds) for task, rounds in report["corrections"].items()} == {
        "ip": 3, "ib": 3,
    }  # fmt: skip
    assert report["corrections"]["ip"][-1] == report["mean"]["ip"]
    assert report["images"][0]["corrections"]["ib"][0]["msa"] == 1.0
    assert report["speed"]["seconds_per_megapixel"] > 0
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    bare = evaluate(Knower(labels), pairs, tasks=["box"])
    assert (bare["corrections"], bare["speed"]) == ({}, {})
