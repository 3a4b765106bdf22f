"""A model whose automatic segmentation is timed."""

import time
from typing import Any, cast

import numpy as np
import pytest

from samzoo.runtime.evaluation.segmenter import TimedSegmenter


def test_the_median_over_images_is_told(monkeypatch):
    class Model:
        embed = prompt = staticmethod(lambda image: image)

        def segment(self, image):
            return image * 2

    clock = iter([0.0, 1.0, 1.0, 5.0, 5.0, 7.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timed = TimedSegmenter(cast(Any, Model()))
    assert timed.speed == {}
    for _ in range(3):
        assert timed.segment(np.ones((100, 200))).max() == 2
    assert timed.speed == {"seconds_per_megapixel": pytest.approx(2 / 0.02)}
    assert timed.embed(np.array(3)) == 3
