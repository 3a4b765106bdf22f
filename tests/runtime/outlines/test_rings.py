"""Outlines: filled again they are the very pixels, and every polygon is one that JTS accepts."""

import numpy as np
import pytest

from samzoo.runtime.outlines.rings import Tracing, area, trace

draw = pytest.importorskip("skimage.draw")

SHAPES = {
    "one pixel": ["1"],
    "touching": ["1122", "1122"],
    "a hole": ["111", "101", "111"],
    "two holes that touch at a corner": ["1111", "1011", "1101", "1111"],
    "parts that touch at a corner": ["10", "01"],
    "an outer ring that touches itself": ["0110", "1001", "1111"],
    "a part in a hole": ["11111", "10001", "10101", "10001", "11111"],
    "a ring in a ring": ["1111111", "1000001", "1011101", "1010101", "1011101", "1000001",
                         "1111111"],
    "another in a hole": ["111", "121", "111"],
    "nothing": ["000"],
}  # fmt: skip


def array(rows):
    return np.array([[int(sign) for sign in row] for row in rows], np.int32)


def redrawn(outlines, shape):
    """Fill polygons by the even-odd rule at the pixels' centres."""
    labels = np.zeros(shape, np.int32)
    for outline in outlines:
        inside = np.zeros(shape, np.bool_)
        for polygon in outline.polygons:
            for ring in polygon:
                inside ^= draw.polygon2mask(shape, ring[:, ::-1] - 0.5)
        labels[inside] = outline.label
    return labels


def plain(outlines):
    return [
        (each.label, [[ring.tolist() for ring in polygon] for polygon in each.polygons])
        for each in outlines
    ]


def check(labels):
    found = trace(labels)
    assert [each.label for each in found] == np.unique(labels[labels > 0]).tolist()
    for outline in found:
        assert (
            sum(area(ring) for polygon in outline.polygons for ring in polygon)
            == (labels == outline.label).sum()
        )
        for outer, *holes in outline.polygons:
            assert area(outer) > 0
            assert all(area(hole) < 0 for hole in holes)
            for ring in (outer, *holes):
                assert len(np.unique(ring, axis=0)) == len(ring)
    np.testing.assert_array_equal(redrawn(found, labels.shape), labels)


@pytest.mark.parametrize("name", SHAPES)
def test_outlines_are_the_objects(name):
    check(array(SHAPES[name]))


def test_outlines_of_noise_are_the_objects(rng):
    for _ in range(60):
        check(rng.integers(0, 3, rng.integers(1, 14, 2)).astype(np.int32))


def test_holes_belong_to_the_ring_around_them():
    [found] = trace(array(SHAPES["a ring in a ring"]))
    assert sorted(len(polygon) for polygon in found.polygons) == [2, 2]
    assert [abs(area(hole)) for _, hole in found.polygons] == [1, 25]


def test_only_corners_are_kept():
    [found] = trace(np.ones((50, 70), np.int32))
    assert found.polygons[0][0].tolist() == [[0, 0], [70, 0], [70, 50], [0, 50]]


def test_bands_give_what_the_whole_gives(rng):
    labels = rng.integers(-1, 4, (23, 17)).astype(np.int32)
    tracing = Tracing(17)
    for start, end in ((0, 1), (1, 8), (8, 8), (8, 23)):
        tracing.add(labels[start:end])
    assert plain(tracing.outlines()) == plain(trace(labels))


def test_no_rows_have_no_outlines():
    assert list(Tracing(5).outlines()) == []
