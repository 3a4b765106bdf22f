"""Alpha channels that mean something are refused."""

import numpy as np
import pytest

from samzoo.runtime.errors import ImageError
from samzoo.runtime.pixels.transparency import AlphaCheck


@pytest.mark.parametrize("value", [0, 200, 255, True])
def test_an_alpha_that_is_the_same_everywhere_says_nothing(value):
    check = AlphaCheck("a.png")
    check(np.full((3, 4), value))
    check(np.full((0, 4), value))
    check(np.full((2, 2), value))


def test_an_alpha_that_differs_is_refused_also_between_windows():
    with pytest.raises(ImageError, match=r"a\.png: parts of the picture are transparent.*flatten"):
        AlphaCheck("a.png")(np.array([[255, 255], [255, 254]]))
    check = AlphaCheck("a.png")
    check(np.full((2, 2), 255))
    with pytest.raises(ImageError, match="transparent"):
        check(np.full((2, 2), 0))
