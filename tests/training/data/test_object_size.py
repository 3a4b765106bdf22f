"""At what size a model sees objects: the scale of all images, and each image's own."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.label_arrays import equivalent_diameters, object_areas
from samzoo.training.data.annotated import Annotated
from samzoo.training.data.object_size import (
    MOST_CHANGE,
    at_own_scale,
    declared,
    median_diameter,
)
from samzoo.training.data.samples import prepare


def test_the_median_diameter_is_that_of_circles_of_the_objects_areas():
    labels = np.zeros((40, 40), np.int32)
    labels[:4, :9], labels[10:20, :10], labels[30:, :] = 1, 2, 7  # 36, 100 and 400 pixels
    empty = Annotated(labels * 0, labels * 0, "empty")
    other = Annotated(labels, (labels == 1).astype(np.int32), "other")
    assert median_diameter([Annotated(labels, labels, "a")]) == pytest.approx(
        2 * (100 / np.pi) ** 0.5
    )
    both = median_diameter([Annotated(labels, labels, "a"), other, empty])
    assert both == pytest.approx(((36 / np.pi) ** 0.5) + (100 / np.pi) ** 0.5)
    with pytest.raises(ImageError, match="no training image holds an object"):
        median_diameter([empty])


def squares(side, count=3, shape=(120, 120)):
    labels = np.zeros(shape, np.int32)
    for i in range(count):
        labels[2 : 2 + side, 2 + i * (side + 2) : 2 + i * (side + 2) + side] = i + 1
    return Annotated(labels.astype(np.uint8), labels, f"{side}")


def seen(annotated, preprocessing, image_size=64):
    """The median diameter that a model sees."""
    own = at_own_scale(annotated, preprocessing, image_size=image_size)
    labels = prepare(annotated, own, image_size).labels
    return float(np.median(equivalent_diameters(object_areas(labels))))


@pytest.mark.parametrize(("scale", "wanted"), [(None, 0.0), (1.0, 0.0), (2.0, 0.0), (None, 18.0)])
def test_each_image_is_brought_to_the_declared_diameter(scale, wanted):
    images = [squares(10), squares(20, 5, (200, 200)), squares(14)]
    common = declared(
        Preprocessing(scale=scale), images, image_size=64, object_diameter=wanted, by_image=True
    )
    assert common.object_diameter is not None
    for each in images:
        assert seen(each, common) == pytest.approx(common.object_diameter, rel=0.08)
    if wanted:
        assert common.object_diameter == wanted
        assert common.scale == round(wanted / median_diameter(images), 2)
    else:
        assert common.scale == scale
    if scale:
        assert common.object_diameter == pytest.approx(scale * median_diameter(images), abs=0.06)


def test_without_a_wish_the_preprocessing_stays_as_it_is():
    given = Preprocessing(scale=2.0)
    kept = declared(given, [squares(10)], image_size=64, object_diameter=0.0, by_image=False)
    assert kept == given
    assert at_own_scale(squares(30), given, image_size=64) == given
    with pytest.raises(ImageError, match="no training image holds an object"):
        declared(given, [squares(3, 0)], image_size=64, object_diameter=0.0, by_image=True)


def test_an_image_without_objects_has_the_scale_of_all():
    common = Preprocessing(scale=1.5, object_diameter=20.0)
    assert at_own_scale(squares(3, 0), common, image_size=64) == common


def test_the_scale_of_an_image_has_bounds():
    common = Preprocessing(scale=1.0, object_diameter=20.0)
    assert at_own_scale(squares(2), common, image_size=64).scale == MOST_CHANGE
    large = squares(110, 1)
    fitting = dataclasses.replace(common, scale=None)
    assert at_own_scale(large, fitting, image_size=512).scale == pytest.approx(
        512 / 120 / MOST_CHANGE, rel=0.01
    )
