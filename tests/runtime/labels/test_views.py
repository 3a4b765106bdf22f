"""The eight ways in which a picture may lie."""

import numpy as np

from samzoo.runtime.labels.views import eight_views


def test_all_eight_are_there_and_the_first_is_the_picture(rng):
    picture = rng.random((4, 5, 3))
    views = list(eight_views(picture))
    np.testing.assert_array_equal(views[0], picture)
    assert len({view.tobytes() for view in views}) == 8
    assert [view.shape[:2] for view in views] == [(4, 5), (5, 4)] * 4
    np.testing.assert_array_equal(views[2], picture[::-1, ::-1])
    np.testing.assert_array_equal(views[4], picture[:, ::-1])
