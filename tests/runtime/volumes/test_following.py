"""Objects followed through a stack, held against micro-sam following the same."""

import json

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import InputError
from samzoo.runtime.images.tiles import whole
from samzoo.runtime.model import Model
from samzoo.runtime.prompts.derivation import box_of_mask, mask_as_logits, peaks, points_of_mask
from samzoo.runtime.volumes.following import Following, follow, follow_object

PROJECTIONS = ("box", "mask", "points", "points_and_mask", "single_point")

ALLOWED = {"mask": 4, "points_and_mask": 4}
"""Pixels of 6300 that may differ in a slice: ours resizes masks with Pillow, micro-sam with torch
(measured: 0)."""


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("torch")
    pytest.importorskip("segment_anything")
    from samzoo.training.networks.graphs import TorchNetworks

    sam = tiny.make_sam(tiny.make_config("vit_1024", ais=False))
    return Model(sam.config, TorchNetworks(sam))


@pytest.mark.slow  # a model of 1024 pixels, which micro-sam's mask inputs need
@pytest.mark.torch
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_every_slice_is_that_of_micro_sam(projection, model, golden):
    values = golden("volume_prompts")
    stack, start = values["stack"], values["start"]
    embeddings = [model.embed(plane) for plane in stack]
    found = follow_object(
        model, lambda z: embeddings[z], {1: start}, slices=len(stack),
        following=Following(projection=projection, iou_threshold=0.0),
    )  # fmt: skip
    expected = values[f"follow_{projection}"]
    assert expected[0].any()
    assert expected[3].any()
    for z, mask in enumerate(expected):
        ours = found.get(z, np.zeros_like(mask))
        assert int((ours != mask).sum()) <= ALLOWED.get(projection, 0), z


def rule(mask, z):
    """That of ``make_volume_prompt_goldens.py``."""
    moved = np.roll(mask, 1, axis=1)
    moved[:, 0] = 0
    if z % 3 == 0 and moved.any():
        moved[np.flatnonzero(moved.any(axis=1))[0]] = 0
    return moved


def test_slices_are_gone_through_as_micro_sam_does(golden):
    values = golden("volume_prompts")
    cases = json.loads(str(values["cases"]))
    assert len(cases) == 10
    for index, case in enumerate(cases):
        given = {z: values[f"control_given{index}"][z] for z in case.pop("slices")}
        options = Following(**{"iou_threshold": 0.6, **case})
        found = follow(lambda z, mask: rule(mask, z), given, slices=12, options=options)
        expected = values[f"control_found{index}"]
        ours = np.stack([found.get(z, np.zeros_like(m)) for z, m in enumerate(expected)])
        np.testing.assert_array_equal(ours, expected, err_msg=str(case))


@pytest.mark.parametrize("distance", [1, 3, 5])
def test_peaks_are_those_of_scikit_image(distance, rng):
    feature = pytest.importorskip("skimage.feature")
    filters = pytest.importorskip("scipy.ndimage")
    for _ in range(20):
        values = filters.gaussian_filter(rng.random((40, 57)), 2).astype(np.float32)
        values[:10, :20] = 0  # a plateau
        values[20:, :30] = values[20:, :30].round(1)  # and many small ones
        expected = feature.peak_local_max(values, min_distance=distance, exclude_border=False)
        np.testing.assert_array_equal(peaks(values, distance), expected)


def test_a_constant_has_no_peaks():
    assert peaks(np.zeros((5, 6), np.float32), 2).shape == (0, 2)


def test_boxes_are_tight_and_widened_by_share_or_pixels():
    mask = np.zeros((30, 40), bool)
    mask[10:20, 5:25] = True
    assert box_of_mask(mask).tolist() == [5, 10, 25, 20]
    assert box_of_mask(mask, 0.1).tolist() == [3, 9, 27, 21]
    assert box_of_mask(mask, 12).tolist() == [0, 0, 37, 30]


def test_a_single_point_is_the_innermost_pixel():
    rows, columns = np.mgrid[:40, :40]
    mask = (rows - 20) ** 2 + (columns - 18) ** 2 < 100
    points, labels = points_of_mask(mask, box_of_mask(mask), single=True)
    assert (points.tolist(), labels.tolist()) == ([[18, 20]], [1])


def test_a_mask_as_logits_covers_what_the_network_sees(toy_config):
    mask = np.zeros((20, 50), bool)
    mask[5:15, 10:30] = True
    config = toy_config()  # scale 1, 64 pixels, logits of 64
    logits = mask_as_logits(mask, whole((20, 50))[0], config)
    assert logits.shape == (1, 64, 64)
    np.testing.assert_array_equal(logits[0, :20, :50] > 0, mask)
    assert (logits[0, 20:] < 0).all()
    assert np.unique(np.abs(logits)).size == 1


def test_an_object_is_followed_and_stops_where_it_ends(toy_model, discs):
    stack = np.stack([discs((60, 60), [(30, 20 + z)] if 1 <= z <= 5 else []) for z in range(9)])
    stack[:, 0, 0] = 255  # not constant
    embeddings = [toy_model.embed(plane) for plane in stack]
    seen: list[tuple[str, int, int]] = []
    start = discs((60, 60), [(30, 23)]) > 0
    found = follow_object(
        toy_model, embeddings.__getitem__, {3: start}, slices=9,
        following=Following(iou_threshold=0.5), progress=lambda *given: seen.append(given),
    )  # fmt: skip
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert len(seen) == 6  # four more slices, and one too far at each end
    for z, mask in found.items():
        assert (mask[20:, :] == (stack[z, 20:, :] > 0)).mean() > 0.99


def test_what_cannot_be_followed_is_refused(toy_model):
    empty = np.zeros((60, 60), bool)
    with pytest.raises(InputError, match=r"slices 0 to 3, found slices \[2\]"):
        follow_object(toy_model, lambda z: None, {2: empty}, slices=4)  # type: ignore[arg-type,return-value]
    with pytest.raises(InputError, match=r"found slices \[4\]"):
        follow_object(toy_model, lambda z: None, {4: ~empty}, slices=4)  # type: ignore[arg-type,return-value]
    with pytest.raises(InputError, match="projection: found 'sphere', allowed: box, mask"):
        Following(projection="sphere")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"iou_threshold: found 1\.5"):
        Following(iou_threshold=1.5)
