"""AIS post-processing against an independent implementation in SciPy and scikit-image."""

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import relabel_sequential, watershed

from samzoo.runtime.automatic.ais import find_seeds, remove_small, segment_from_maps, smooth
from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.formats.config import AisParameters

SMOOTHING_TOLERANCE = 1e-6
"""Ten units in the last place of float32 at 1."""


def reference_smooth(values, sigma):
    if sigma == 0:
        return values
    radius = int(np.ceil(3 * sigma))
    return ndimage.gaussian_filter(values, sigma, mode="mirror", radius=radius)


def reference(maps, parameters):
    foreground, center, boundary = maps
    mask = reference_smooth(foreground, parameters.foreground_smoothing)
    mask = mask > parameters.foreground_threshold
    center = reference_smooth(center, parameters.distance_smoothing)
    boundary = reference_smooth(boundary, parameters.distance_smoothing)
    seeds = center < parameters.center_distance_threshold
    seeds &= (boundary < parameters.boundary_distance_threshold) & mask
    seeds, _ = ndimage.label(seeds, structure=np.ones((3, 3)))
    labels = watershed(boundary, seeds, mask=mask, connectivity=1)
    ids, sizes = np.unique(labels, return_counts=True)
    labels[np.isin(labels, ids[sizes < parameters.min_size])] = 0
    return relabel_sequential(labels)[0]


def maps(shape, n_objects, seed, radius=9.0):
    """Make maps of ellipses, some touching, as a decoder would give them, with smooth noise."""
    rng = np.random.default_rng(seed)
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    best = np.full(shape, np.inf)
    for _ in range(n_objects):
        row, column = rng.random(2) * shape
        first, second = radius * rng.uniform(0.5, 1.2, 2)
        angle = rng.uniform(0, np.pi)
        along = (rows - row) * np.cos(angle) + (columns - column) * np.sin(angle)
        across = (columns - column) * np.cos(angle) - (rows - row) * np.sin(angle)
        best = np.minimum(best, np.hypot(along / first, across / second))

    def noise(strength):
        return strength * ndimage.gaussian_filter(rng.standard_normal(shape), 1.0)

    foreground = np.clip(1 / (1 + np.exp(8 * (best - 1))) + noise(0.2), 0, 1)
    center = np.clip(np.minimum(best, 1) + noise(0.2), 0, 1)
    boundary = np.clip(np.minimum(best, 1) ** 2 + noise(0.2), 0, 1)
    return tuple(values.astype(np.float32) for values in (foreground, center, boundary))


@pytest.mark.parametrize("sigma", [0.4, 0.7, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 3.1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3), (40, 50)])
def test_smoothing_equals_scipy_with_a_mirrored_border(sigma, shape):
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    np.testing.assert_allclose(
        smooth(values, sigma), reference_smooth(values, sigma), atol=SMOOTHING_TOLERANCE
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("shape", "n_objects"),
    [((1, 1), 1), ((1, 60), 3), ((60, 1), 3), ((2, 2), 1), ((64, 64), 8), ((100, 37), 9),
     ((150, 220), 60), ((300, 260), 150)],
)  # fmt: skip
@pytest.mark.parametrize(
    "parameters",
    [
        AisParameters(),
        AisParameters(center_distance_threshold=0.4, distance_smoothing=2.0, min_size=100),
        AisParameters(foreground_smoothing=0, distance_smoothing=0, min_size=1),
        AisParameters(foreground_threshold=0.3, boundary_distance_threshold=0.2, min_size=30),
    ],
)
def test_smooth_maps_give_the_reference_label_image(shape, n_objects, seed, parameters):
    given = maps(shape, n_objects, seed)
    found = segment_from_maps(*given, parameters=parameters)
    expected = reference(given, parameters)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


def test_default_parameters_find_many_objects_without_a_differing_pixel():
    given = maps((512, 512), 300, seed=11)
    found = segment_from_maps(*given, parameters=AisParameters())
    assert found.max() > 50
    np.testing.assert_array_equal(found, reference(given, AisParameters()))


def test_plateaus_keep_seeds_foreground_and_nearest_seed_regions():
    """Two seeds on a flat map: which one gets the middle is open, all else is fixed."""
    foreground = np.ones((9, 31), np.float32)
    center = np.ones((9, 31), np.float32)
    boundary = np.full((9, 31), 0.25, np.float32)
    center[4, 5] = center[4, 25] = 0
    parameters = AisParameters(foreground_smoothing=0, distance_smoothing=0)
    found = segment_from_maps(foreground, center, boundary, parameters=parameters)
    assert found[4, 5] == 1
    assert found[4, 25] == 2
    assert set(np.unique(found)) == {1, 2}
    for label in (1, 2):
        assert ndimage.label(found == label)[1] == 1


def test_ties_change_neither_foreground_nor_seeds():
    """Heights rounded to eight values: every plateau is a tie."""
    foreground, center, boundary = maps((200, 200), 60, seed=5)
    boundary = np.round(boundary * 8) / 8
    parameters = AisParameters(foreground_smoothing=0, distance_smoothing=0)
    found = segment_from_maps(foreground, center, boundary, parameters=parameters)
    expected = reference((foreground, center, boundary), parameters)
    np.testing.assert_array_equal(found > 0, expected > 0)
    seeds = find_seeds(
        foreground > 0.5, center, boundary, center_threshold=0.5, boundary_threshold=0.5
    )
    np.testing.assert_array_equal(found[seeds > 0], seeds[seeds > 0])


def test_seeds_touching_at_a_corner_are_one_and_objects_grow_along_edges_only():
    mask = np.zeros((6, 6), bool)
    mask[:2, :2] = mask[2:4, 2:4] = True
    low = np.zeros((6, 6), np.float32)
    seeds = find_seeds(mask, low, low, center_threshold=0.5, boundary_threshold=0.5)
    assert seeds.max() == 1
    center = np.ones((6, 6), np.float32)
    center[0, 0] = 0
    parameters = AisParameters(foreground_smoothing=0, distance_smoothing=0)
    found = segment_from_maps(mask.astype(np.float32), center, low, parameters=parameters)
    assert found[:2, :2].all()
    assert not found[2:4, 2:4].any()


@pytest.mark.parametrize(("foreground", "center"), [(0.0, 0.0), (1.0, 1.0)])
def test_no_foreground_or_no_seed_gives_zeros(foreground, center):
    shape = (7, 5)
    found = segment_from_maps(
        np.full(shape, foreground, np.float32), np.full(shape, center, np.float32),
        np.zeros(shape, np.float32), parameters=AisParameters(),
    )  # fmt: skip
    np.testing.assert_array_equal(found, np.zeros(shape))
    assert found.dtype == np.int32


def test_values_equal_to_a_threshold_are_outside():
    half, low = np.full((4, 4), 0.5, np.float32), np.zeros((4, 4), np.float32)
    high = np.ones((4, 4), np.float32)
    parameters = AisParameters(foreground_smoothing=0, distance_smoothing=0)
    assert not segment_from_maps(half, low, low, parameters=parameters).any()
    assert not segment_from_maps(high, half, low, parameters=parameters).any()
    assert not segment_from_maps(high, low, half, parameters=parameters).any()
    assert segment_from_maps(high, low, low, parameters=parameters).all()


def test_maps_of_any_memory_layout_and_float64_are_accepted():
    given = maps((64, 48), 8, seed=2)
    expected = segment_from_maps(*given, parameters=AisParameters())
    for changed in (
        [np.asfortranarray(values) for values in given],
        [np.repeat(values, 2, axis=1)[:, ::2] for values in given],
        [values.astype(np.float64) for values in given],
    ):
        found = segment_from_maps(*changed, parameters=AisParameters())
        np.testing.assert_array_equal(found, expected)


def test_remove_small_keeps_the_exact_size_and_the_order():
    labels = np.array([[1, 1, 0, 2], [3, 3, 3, 0]], np.int32)
    np.testing.assert_array_equal(remove_small(labels, 2), [[1, 1, 0, 0], [2, 2, 2, 0]])
    np.testing.assert_array_equal(remove_small(labels, 0), labels)
    np.testing.assert_array_equal(remove_small(labels, 9), np.zeros((2, 4)))


def test_remove_small_closes_gaps_and_gives_int32_whatever_stays():
    labels: Any = np.array([[1, 1, 0, 5]], np.int64)
    for given in (labels, np.minimum(labels, 2)):
        found = remove_small(given, 0)
        np.testing.assert_array_equal(found, [[1, 1, 0, 2]])
        assert found.dtype == np.int32


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", range(3))
def test_one_value_that_is_not_finite_is_refused_in_any_map(value, index):
    given = [np.full((9, 70), 3e38, np.float32) for _ in range(3)]  # whose sum would overflow
    segment_from_maps(*given, parameters=AisParameters())
    given[index][4, 33] = value
    with pytest.raises(InputError, match="holds NaN or infinite"):
        segment_from_maps(*given, parameters=AisParameters())


def test_wrong_shapes_and_values_are_refused_by_name():
    good = np.zeros((4, 5), np.float32)
    with pytest.raises(ShapeError, match=r"boundary_distances must have shape .* got \(5, 4\)"):
        segment_from_maps(good, good, good.T, parameters=AisParameters())
    with pytest.raises(ShapeError, match="foreground must have shape"):
        segment_from_maps(good[None], good[None], good[None], parameters=AisParameters())
    with pytest.raises(ShapeError, match="foreground must have shape"):
        segment_from_maps(good[:0], good[:0], good[:0], parameters=AisParameters())
    bad = good.copy()
    bad[0, 0] = np.nan
    with pytest.raises(InputError, match="center_distances holds NaN"):
        segment_from_maps(good, bad, good, parameters=AisParameters())
