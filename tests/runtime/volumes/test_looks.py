"""The picture of a stack: which planes, where, and how far reduced."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.volumes import looks as stack_looks
from samzoo.runtime.volumes.looks import GAP, MOST_PLANES, contact_sheet


@pytest.fixture
def stack(tmp_path, rng):
    """Write 40 planes; returns them, and labels that number the planes."""
    planes = rng.integers(0, 200, (40, 12, 30)).astype(np.uint8)
    planes += np.arange(40, dtype=np.uint8)[:, None, None]
    tifffile.imwrite(tmp_path / "stack.tif", planes, metadata={"axes": "ZYX"})
    labels = np.broadcast_to(np.arange(1, 41, dtype=np.int32)[:, None, None], planes.shape)
    return SourceSpec(str(tmp_path / "stack.tif")), planes, labels


def test_planes_from_first_to_last_lie_side_by_side(stack):
    spec, planes, labels = stack
    image, drawn = contact_sheet(spec, labels)
    assert image.shape == drawn.shape == (6 * 12 + 5 * GAP, 3 * 30 + 2 * GAP)
    chosen = [1, 4, 6, 9, 11, 14, 17, 19, 22, 24, 27, 30, 32, 35, 37, 40]
    assert len(chosen) == MOST_PLANES
    for index, label in enumerate(chosen):
        y, x = (index // 3) * (12 + GAP), (index % 3) * (30 + GAP)
        assert np.all(drawn[y : y + 12, x : x + 30] == label)
        np.testing.assert_array_equal(image[y : y + 12, x : x + 30], planes[label - 1])
    assert not drawn[:, 30 : 30 + GAP].any()


def test_large_planes_are_reduced(stack, monkeypatch):
    spec, planes, labels = stack
    monkeypatch.setattr(stack_looks, "LARGEST", 50)
    image, drawn = contact_sheet(spec, labels)
    assert image.shape == drawn.shape == (6 * 6 + 5 * GAP, 3 * 15 + 2 * GAP)
    means = planes[0].reshape(6, 2, 15, 2).mean((1, 3)).astype(np.uint8)
    np.testing.assert_array_equal(image[:6, :15], means)


def test_a_series_of_volumes_counts_all_planes(stack):
    spec, _, labels = stack
    found = contact_sheet(spec, labels.reshape(4, 10, 12, 30))
    for part, expected in zip(found, contact_sheet(spec, labels), strict=True):
        np.testing.assert_array_equal(part, expected)
