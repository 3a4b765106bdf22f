"""Evaluation with models that know the truth, know nothing, or need corrections."""

import numpy as np
import pytest
from skimage.draw import disk

from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.evaluation import annotator
from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.scoring import evaluate_image, some_objects
from samzoo.runtime.evaluation.tasks import CONTROL_TASK, TASKS


def make_labels(n_objects=6, shape=(60, 90)):
    labels = np.zeros(shape, np.int32)
    for index in range(n_objects):
        center = (12 + 30 * (index // 3), 12 + 30 * (index % 3))
        labels[disk(center, 6 + index % 3, shape=shape)] = 10 * (index + 1)
    return labels


class Recorder:
    """A model that answers with what ``answer(labels, object_id, n_points)`` gives."""

    def __init__(self, labels, answer):
        self.labels, self.answer = labels, answer
        self.calls = []
        self.n_embedded = 0

    def embed(self, image):
        self.n_embedded += 1
        return image

    def prompt(self, embedding, *, points=None, point_labels=None, boxes=None):
        self.calls.append((points, point_labels, boxes))
        if boxes is not None:
            x, y = boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)
        else:
            x, y = points[:, 0].T
        ids = self.labels[y.astype(int), x.astype(int)]
        n_points = 0 if points is None else points.shape[1]
        masks = np.stack([self.answer(self.labels, label, n_points) for label in ids])
        return masks, np.ones(len(ids), np.float32), None

    def segment(self, image):
        return self.labels.copy()


def perfect(labels, label, n_points):
    return labels == label


def nothing(labels, label, n_points):
    return np.zeros(labels.shape, bool)


def right_after_seven_corrections(labels, label, n_points):
    return (labels == label) & (n_points >= 14)


def image_of(labels):
    return (labels > 0).astype(np.uint8) * 200


def test_a_model_that_knows_the_truth_scores_one_in_all_tasks():
    labels = make_labels()
    scores = evaluate_image(Recorder(labels, perfect), image_of(labels), labels)
    assert set(scores) == {*TASKS, CONTROL_TASK}
    for task in TASKS:
        assert scores[task] == dict.fromkeys(METRICS, 1.0)


def test_a_model_that_finds_nothing_scores_zero():
    labels = make_labels()
    model = Recorder(labels, nothing)
    scores = evaluate_image(model, image_of(labels), labels, tasks=["point", "box", "ip", "ib"])
    for task in ("point", "box", "ip", "ib"):
        assert scores[task] == dict.fromkeys(METRICS, 0.0)


def test_corrected_tasks_score_the_last_round_and_first_tasks_the_first():
    labels = make_labels()
    model = Recorder(labels, right_after_seven_corrections)
    scores = evaluate_image(model, image_of(labels), labels)
    assert [scores[task]["msa"] for task in ("point", "box", "ip", "ib")] == [0, 0, 1, 1]


def test_prompts_have_the_agreed_shapes_and_grow_by_two_points_a_round():
    labels = make_labels()
    model = Recorder(labels, perfect)
    evaluate_image(model, image_of(labels), labels, tasks=["ip", "ib"], n_corrections=2)
    assert [None if p is None else p.shape for p, _, _ in model.calls] == [
        (6, 1, 2), (6, 3, 2), (6, 5, 2), None, (6, 2, 2), (6, 4, 2),
    ]  # fmt: skip
    assert [b is None for _, _, b in model.calls] == [True] * 3 + [False] * 3
    points, point_labels, _ = model.calls[2]
    np.testing.assert_array_equal(point_labels, [[1, 1, 0, 1, 0]] * 6)
    assert (points.dtype, point_labels.dtype) == (np.float32, np.int32)
    assert model.calls[4][2].shape == (6, 4)
    assert model.n_embedded == 1


def test_positive_corrections_lie_inside_and_negative_ones_outside_of_the_object():
    labels = make_labels()
    model = Recorder(labels, right_after_seven_corrections)
    evaluate_image(model, image_of(labels), labels, tasks=["ip"])
    points, point_labels, _ = model.calls[-1]
    for index, (object_points, object_labels) in enumerate(zip(points, point_labels, strict=True)):
        x, y = object_points.astype(int).T
        inside = labels[y, x] == 10 * (index + 1)
        np.testing.assert_array_equal(inside, object_labels == 1)


def test_the_control_fills_the_boxes_and_comes_only_with_box():
    labels = np.zeros((20, 20), np.int32)
    labels[2:8, 2:8] = 1
    labels[10:19, 10:19] = np.tri(9, dtype=np.int32) * 2
    model = Recorder(labels, perfect)
    scores = evaluate_image(model, image_of(labels), labels, tasks=["box"])
    assert scores[CONTROL_TASK]["dice"] == pytest.approx((1 + 2 * 45 / (45 + 81)) / 2)
    assert scores[CONTROL_TASK]["sa50"] == 1.0  # 45 / 81 > 0.5
    assert scores[CONTROL_TASK]["sa75"] == pytest.approx(1 / 3)
    assert CONTROL_TASK not in evaluate_image(model, image_of(labels), labels, tasks=["ib"])


def test_ais_alone_needs_no_embedding_and_its_dice_is_the_foregrounds(monkeypatch):
    labels = make_labels()
    model = Recorder(labels > 0, perfect)
    monkeypatch.setattr(model, "segment", lambda image: (labels > 0).astype(np.int32))
    scores = evaluate_image(model, image_of(labels), labels, tasks=["ais"])
    assert scores["ais"]["dice"] == 1.0
    assert scores["ais"]["msa"] < 1.0
    assert model.n_embedded == 0


def test_batches_of_objects_change_nothing(monkeypatch):
    labels = make_labels()
    expected = evaluate_image(Recorder(labels, perfect), image_of(labels), labels)
    monkeypatch.setattr(annotator, "BATCH_SIZE", 4)
    model = Recorder(labels, perfect)
    assert evaluate_image(model, image_of(labels), labels) == expected
    assert [len(call[0]) for call in model.calls[:9:8]] == [4, 2]


def test_corrections_depend_on_seed_and_image_index_but_not_on_other_tasks():
    labels = make_labels()

    def last_points(**options):
        model = Recorder(labels, perfect)
        evaluate_image(model, image_of(labels), labels, **options)
        return model.calls[-1][0]

    first = last_points(tasks=["ib"])
    np.testing.assert_array_equal(last_points(tasks=["point", "ip", "box", "ib"]), first)
    assert not np.array_equal(last_points(tasks=["ib"], seed=1), first)
    assert not np.array_equal(last_points(tasks=["ib"], image_index=1), first)


def test_small_true_objects_are_left_out_first():
    labels = make_labels()
    labels[0, :5] = 999
    model = Recorder(labels, perfect)
    scores = evaluate_image(model, image_of(labels), labels, tasks=["point"], min_object_size=6)
    assert len(model.calls[0][0]) == 6
    assert scores["point"]["msa"] == 1.0
    evaluate_image(model, image_of(labels), labels, tasks=["point"], min_object_size=5)
    assert len(model.calls[1][0]) == 7


def test_an_image_without_background_works():
    labels = np.full((20, 20), 5, np.int32)
    scores = evaluate_image(Recorder(labels, perfect), image_of(labels), labels)
    assert scores["ip"]["msa"] == 1.0


def test_unknown_tasks_missing_objects_and_other_sizes_are_refused():
    labels = make_labels()
    model, image = Recorder(labels, perfect), image_of(labels)
    with pytest.raises(InputError, match=r"found 'amg', known are: ais, point, box, ip, ib"):
        evaluate_image(model, image, labels, tasks=["ais", "amg"])
    with pytest.raises(InputError, match="at least one of: ais"):
        evaluate_image(model, image, labels, tasks=[])
    with pytest.raises(ImageError, match="no object of at least 5000 pixels"):
        evaluate_image(model, image, labels, min_object_size=5000)
    with pytest.raises(ImageError, match=r"the labels are 60 x 90 pixels .* transposed"):
        evaluate_image(model, image.T, labels)


def test_what_nobody_annotated_costs_nothing_in_any_task():
    labels = make_labels()
    truth = labels.copy()
    truth[:, 60:] = -1  # two of the six objects, and background
    model = Recorder(labels, perfect)
    scores = evaluate_image(model, image_of(labels), truth)
    assert scores == {**dict.fromkeys(TASKS, dict.fromkeys(METRICS, 1.0)), **{
        CONTROL_TASK: scores[CONTROL_TASK]
    }}  # fmt: skip
    assert all(boxes is None or len(boxes) == 4 for _, _, boxes in model.calls)


def test_mistakes_outside_of_what_is_ignored_still_cost():
    labels = make_labels()
    truth = np.where(labels == 30, 0, labels)  # a false object
    truth[:, 80:] = -1  # less than half of it
    found = evaluate_image(Recorder(labels, perfect), image_of(labels), truth, tasks=["ais"])
    assert found["ais"]["sa50"] == pytest.approx(5 / 6)


def test_masks_and_corrections_do_not_enter_what_is_ignored():
    labels = make_labels()
    truth = np.where(labels == 0, -1, labels)
    truth[:3] = 0

    def everything(labels, label, n_points):
        return (labels == label) | (truth == -1)

    model = Recorder(labels, everything)
    scores = evaluate_image(model, image_of(labels), truth, tasks=["point", "ip"])
    assert scores["ip"]["dice"] == 1.0
    points, point_labels, _ = model.calls[-1]
    x, y = points[point_labels == 0].astype(int).T
    assert (truth[y, x] != -1).all()


@pytest.mark.parametrize(("found", "score"), [(0, 1.0), (6, 0.0)])
def test_an_image_without_objects_has_no_prompted_task_and_one_or_zero(found, score):
    labels = make_labels(found)
    scores = evaluate_image(Recorder(labels, perfect), image_of(labels), np.zeros_like(labels))
    assert scores == {"ais": dict.fromkeys(METRICS, score)}


def test_very_large_ids_score_as_small_ones():
    labels = make_labels()
    large = np.where(labels > 0, labels.astype(np.uint64) + 2**62, 0)
    scores = evaluate_image(Recorder(labels, perfect), image_of(labels), large, tasks=["ais", "ip"])
    assert scores["ais"]["msa"] == scores["ip"]["msa"] == 1.0


def test_at_most_so_many_objects_are_prompted_and_all_are_segmented():
    labels = make_labels(6)
    model = Recorder(labels, perfect)
    scores = evaluate_image(
        model, image_of(labels), labels, tasks=["ais", "point", "ib"], most_prompted=2
    )
    assert all(scores[task]["msa"] == 1 for task in ("ais", "point", "ib"))
    assert {len(calls[0] if calls[0] is not None else calls[2]) for calls in model.calls} == {2}


def test_objects_are_chosen_evenly_and_the_others_are_background():
    truth = np.array([[0, 1, 2, 3, 4, 5, -1]], np.int32)
    assert some_objects(truth, 3).tolist() == [[0, 1, 0, 2, 0, 3, -1]]
    for most in (0, 5, 6):
        assert some_objects(truth, most) is truth
    assert some_objects(truth, 1).max() == 1
