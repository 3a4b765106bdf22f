"""The eight ways in which a picture may lie."""

import numpy as np
import pytest

from samzoo.runtime.labels.views import eight_views, upright, view


def test_all_eight_are_there_and_the_first_is_the_picture(rng):
    picture = rng.random((4, 5, 3))
    views = list(eight_views(picture))
    np.testing.assert_array_equal(views[0], picture)
    assert len({view.tobytes() for view in views}) == 8
    assert [view.shape[:2] for view in views] == [(4, 5), (5, 4)] * 4
    np.testing.assert_array_equal(views[2], picture[::-1, ::-1])
    np.testing.assert_array_equal(views[4], picture[:, ::-1])


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_maps_of_a_view_are_brought_back(rng, mirrored, turns):
    picture = rng.random((4, 5, 3))
    seen = view(picture, mirrored=mirrored, turns=turns)
    maps = upright(np.moveaxis(seen, -1, 0), mirrored=mirrored, turns=turns)
    np.testing.assert_array_equal(maps, np.moveaxis(picture, -1, 0))
