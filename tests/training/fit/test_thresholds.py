"""The threshold search finds the parameters under which given maps give the true labels."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.runtime.automatic.ais import segment_from_maps
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy
from samzoo.runtime.formats.config import AisParameters
from samzoo.training.data.targets import distance_targets
from samzoo.training.fit.thresholds import placements, search_thresholds

START = AisParameters()


def perfect_maps(seed=0):
    labels = tiny.make_cells((64, 64), seed)[1]
    return distance_targets(labels), labels


def test_the_parameters_that_made_the_labels_are_found():
    maps = distance_targets(tiny.make_cells((64, 64), radius=9)[1])
    maps[1:] = np.clip(maps[1:] + 0.25, 0, 1)  # so that low thresholds find no seed
    wanted = dataclasses.replace(
        START, center_distance_threshold=0.7, boundary_distance_threshold=0.7
    )
    truth = segment_from_maps(*maps, parameters=wanted)
    for other in (START, dataclasses.replace(START, center_distance_threshold=0.3)):
        assert not np.array_equal(segment_from_maps(*maps, parameters=other), truth)
    found, score = search_thresholds([maps], [truth], START)
    assert score == 1
    np.testing.assert_array_equal(segment_from_maps(*maps, parameters=found), truth)
    assert found.foreground_threshold == START.foreground_threshold


def test_among_equals_what_is_nearest_to_the_start_wins():
    maps, labels = perfect_maps()
    separate = labels.copy()
    separate[labels == labels.max()] = 0  # the touching cell
    maps = distance_targets(separate)
    start = AisParameters(center_distance_threshold=0.7, distance_smoothing=1.0)
    found, score = search_thresholds([maps, maps], [separate, separate], start)
    assert score > 0.8
    again, _ = search_thresholds([maps], [separate], found)
    assert again == found


def test_specks_are_removed_by_a_size_below_the_smallest_true_object():
    maps, labels = perfect_maps()
    maps[0, 60:63, 60:63], maps[1:, 60:63, 60:63] = 1, 0
    smallest = int(np.bincount(labels.ravel())[1:].min())
    found, _ = search_thresholds([maps], [labels], START)
    assert found.min_size == smallest // 2
    assert not segment_from_maps(*maps, parameters=found)[60:63, 60:63].any()


def test_progress_counts_up_to_its_end():
    maps, labels = perfect_maps()
    calls = []
    search_thresholds([maps], [labels], START, progress=lambda *call: calls.append(call))
    stages, done, totals = zip(*calls, strict=True)
    assert set(stages) == {"thresholds"}
    assert len(set(totals)) == 1
    assert done == tuple(sorted(done))
    assert done[0] == 1
    assert done[-1] == totals[-1]


def test_the_coarse_pass_uses_the_named_images_alone_and_the_search_is_short(monkeypatch):
    """The paper's grid of 300 would segment eight maps 2400 times."""
    from samzoo.training.fit import thresholds

    seen = []

    def counted(*maps, parameters):
        seen.append(id(maps[0].base))
        return segment_from_maps(*maps, parameters=parameters)

    monkeypatch.setattr(thresholds, "segment_from_maps", counted)
    maps, labels = zip(*(perfect_maps(seed) for seed in range(8)), strict=True)
    found, score = search_thresholds(maps, labels, START, coarse=[0, 4])
    counts = {id(each): seen.count(id(each)) for each in maps}
    few, many = counts[id(maps[1])], counts[id(maps[0])]
    assert counts == {id(each): many if i in (0, 4) else few for i, each in enumerate(maps)}
    assert many - few <= 42
    assert few <= 35
    expected = [segment_from_maps(*m, parameters=found) for m in maps]
    own = [mean_segmentation_accuracy(*pair)["msa"] for pair in zip(expected, labels, strict=True)]
    assert score == pytest.approx(np.mean(own))


def test_what_is_found_is_never_worse_than_the_start():
    """The coarse pass sees one image, which wants something else than the other."""
    first, labels = perfect_maps()
    second = first.copy()
    second[1:] = np.clip(second[1:] + 0.25, 0, 1)
    start = AisParameters(center_distance_threshold=0.75, boundary_distance_threshold=0.75)
    wanted = segment_from_maps(*second, parameters=start)
    scores = {}
    for name, begin in (("found", start), ("other", START)):
        scores[name] = search_thresholds([first, second], [labels, wanted], begin, coarse=[0])[1]
    own = [segment_from_maps(*m, parameters=start) for m in (first, second)]
    before = np.mean([mean_segmentation_accuracy(a, b)["msa"]
                      for a, b in zip(own, (labels, wanted), strict=True)])  # fmt: skip
    assert scores["found"] >= before


def test_little_smoothing_and_a_high_boundary_threshold_are_found():
    """Small objects, whose cores a model draws shallow."""
    labels = tiny.make_cells((64, 64), radius=4)[1]
    maps = distance_targets(labels)
    maps[2] = 0.72 + 0.28 * maps[2]
    found, score = search_thresholds([maps], [labels], START)
    assert score > 0.95
    assert found.boundary_distance_threshold > 0.7
    assert found.distance_smoothing < 1


def test_a_foreground_threshold_that_hides_all_objects_is_left():
    labels = tiny.make_cells((64, 64), radius=3)[1]
    maps = distance_targets(labels)
    maps[0] *= 0.6
    assert not segment_from_maps(*maps, parameters=START).any()
    found, score = search_thresholds([maps], [labels], START)
    assert found.foreground_threshold < 0.4
    assert score > 0.3


def test_placements_move_the_tiles_of_an_image_larger_than_the_field():
    image = np.arange(60 * 200 * 3).reshape(60, 200, 3)
    labels = np.zeros((60, 200), np.int32)
    labels[:, 150] = 1
    found = placements(image, labels, field=96, min_size=0)
    assert [view.shape for view, _ in found] == [
        (60, 200, 3), (60, 200 - 16, 3), (60, 200 - 24, 3), (60, 200 - 32, 3)
    ]  # fmt: skip
    for view, truth in found:
        cut = 200 - view.shape[1]
        np.testing.assert_array_equal(view, image[:, cut:])
        np.testing.assert_array_equal(truth, labels[:, cut:])


def test_an_image_within_the_field_has_one_placement_and_one_without_objects_none():
    labels = np.zeros((60, 90), np.int32)
    labels[0, 0] = 1
    assert len(placements(labels, labels, field=90, min_size=1)) == 1
    assert len(placements(labels, labels, field=50, min_size=1)) == 1  # the others cut it off
    assert placements(labels, labels, field=90, min_size=2) == []


def test_thresholds_must_do_for_every_placement():
    """One map alone prefers thresholds under which the other has no object."""
    labels = tiny.make_cells((64, 64), radius=9)[1]
    first = distance_targets(labels)
    second = first.copy()
    second[1:] = np.clip(second[1:] + 0.25, 0, 1)
    strict = dataclasses.replace(START, center_distance_threshold=0.3)
    alone, _ = search_thresholds([first], [labels], strict)
    both, _ = search_thresholds([first, second], [labels, labels], strict)
    assert alone.center_distance_threshold < both.center_distance_threshold


def test_what_nobody_annotated_does_not_change_the_thresholds():
    maps, labels = perfect_maps()
    start = AisParameters(min_size=10)
    expected = search_thresholds([maps], [labels], start)
    hidden = labels.copy()
    hidden[:, 40:] = -1
    ruined = maps.copy()
    ruined[:, :, 44:] = np.array([1, 0, 0], np.float32)[:, None, None]  # one object fills the rest
    found = search_thresholds([ruined], [hidden], start)
    assert found[1] == pytest.approx(expected[1], abs=0.1)
    assert search_thresholds([ruined], [np.maximum(hidden, 0)], start)[1] < found[1]


def test_an_image_without_objects_is_placed_and_searched():
    nothing = np.zeros((60, 200), np.int32)
    assert len(placements(nothing, nothing, field=96, min_size=5)) == 4
    maps, labels = perfect_maps()
    quiet = np.stack([np.zeros((9, 9)), np.ones((9, 9)), np.ones((9, 9))]).astype(np.float32)
    both = search_thresholds([maps, quiet], [labels, np.zeros((9, 9), np.int32)], AisParameters())
    assert both[1] > search_thresholds([maps], [labels], AisParameters())[1] / 2 + 0.49
