"""The threshold search finds the parameters under which given maps give the true labels."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.runtime.automatic.ais import segment_from_maps
from samzoo.runtime.formats.config import AisParameters
from samzoo.training.data.targets import distance_targets
from samzoo.training.fit.thresholds import SMOOTHINGS, THRESHOLDS, placements, search_thresholds

START = AisParameters()


def perfect_maps(seed=0):
    labels = tiny.make_cells((64, 64), seed)[1]
    return distance_targets(labels), labels


@pytest.fixture(scope="module")
def small_grid():
    """A smaller grid: the whole one takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samzoo.training.fit.thresholds.SMOOTHINGS", (1.0, 1.6))
        patch.setattr("samzoo.training.fit.thresholds.THRESHOLDS", (0.3, 0.5, 0.7))
        yield


@pytest.mark.usefixtures("small_grid")
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


@pytest.mark.usefixtures("small_grid")
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


@pytest.mark.usefixtures("small_grid")
def test_specks_are_removed_by_a_size_below_the_smallest_true_object():
    maps, labels = perfect_maps()
    maps[0, 60:63, 60:63], maps[1:, 60:63, 60:63] = 1, 0
    smallest = int(np.bincount(labels.ravel())[1:].min())
    found, _ = search_thresholds([maps], [labels], START)
    assert found.min_size == smallest // 2
    assert not segment_from_maps(*maps, parameters=found)[60:63, 60:63].any()


@pytest.mark.usefixtures("small_grid")
def test_progress_counts_the_grid():
    maps, labels = perfect_maps()
    calls = []
    search_thresholds([maps], [labels], START, progress=lambda *call: calls.append(call))
    assert calls == [("thresholds", i + 1, 36) for i in range(36)]


def test_the_grid_is_that_of_the_paper():
    assert THRESHOLDS == (0.3, 0.4, 0.5, 0.6, 0.7)
    assert SMOOTHINGS == (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)


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


@pytest.mark.usefixtures("small_grid")
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


@pytest.mark.usefixtures("small_grid")
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


@pytest.mark.usefixtures("small_grid")
def test_an_image_without_objects_is_placed_and_searched():
    nothing = np.zeros((60, 200), np.int32)
    assert len(placements(nothing, nothing, field=96, min_size=5)) == 4
    maps, labels = perfect_maps()
    quiet = np.stack([np.zeros((9, 9)), np.ones((9, 9)), np.ones((9, 9))]).astype(np.float32)
    both = search_thresholds([maps, quiet], [labels, np.zeros((9, 9), np.int32)], AisParameters())
    assert both[1] > search_thresholds([maps], [labels], AisParameters())[1] / 2 + 0.49
