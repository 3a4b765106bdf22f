"""Large annotated images, read region by region."""

import numpy as np
import pytest
import tifffile
import tiny

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.intensity import to_0_255
from samzoo.runtime.labels.annotation import AS_NUMBERED, LabelMeaning
from samzoo.runtime.labels.lists import Entry, entries
from samzoo.runtime.labels.survey import Survey
from samzoo.training.data import regions
from samzoo.training.data.division import split
from samzoo.training.data.reading import open_annotated
from samzoo.training.data.regions import AnnotatedRegion, fewer_regions, open_large
from samzoo.training.data.samples import lazy_samples

SIZE = (100, 130)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(regions, "LARGE", 2000)
    monkeypatch.setattr(regions, "SIDE", 50)


@pytest.fixture
def arrays():
    image, labels = tiny.make_cells(SIZE, 0)
    image = image.astype(np.uint16) * 5
    image[0, 0] = 60_000  # only one region has the largest value
    return image, labels


def stored(folder, image, labels, kind="tif"):
    paths = folder / f"a.{kind}", folder / f"l.{kind}"
    for path, array in zip(paths, (image, labels), strict=True):
        if kind == "zarr":
            zarr = pytest.importorskip("zarr")
            zarr.create_array(path, data=array, chunks=(32, 32))
        else:
            tifffile.imwrite(path, array, tile=(32, 32), photometric="minisblack")
    (entry,) = entries(*paths)
    return entry


@pytest.mark.parametrize("kind", ["tif", "zarr"])
def test_regions_are_the_windows_of_the_image_and_have_its_intensities(tmp_path, arrays, kind):
    image, labels = arrays
    survey = Survey()
    found = open_annotated([stored(tmp_path, image, labels.astype(np.uint8), kind)], survey=survey)
    assert len(found) == 2 * 3
    joined, joined_labels = np.zeros_like(image), np.zeros_like(labels)
    preprocessing = Preprocessing(intensity="percentile", scale=1.0)
    wanted = to_0_255(image, preprocessing)
    for a, sample in zip(found, lazy_samples(found, [preprocessing] * 6, 64), strict=True):
        assert isinstance(a, AnnotatedRegion)
        y0, x0, y1, x1 = a.window
        joined[y0:y1, x0:x1], joined_labels[y0:y1, x0:x1] = a.image, a.labels
        np.testing.assert_allclose(sample.image, wanted[y0:y1, x0:x1], rtol=1e-6)
        assert (a.size, a.content) == ((y1 - y0, x1 - x0), "")
    np.testing.assert_array_equal(joined, image)
    np.testing.assert_array_equal(joined_labels, labels)
    assert found[1].name == f"a.{kind} (rows 0 to 50, columns 43 to 86)"
    assert survey.counts.objects == sum(len(a.areas) for a in found) > 6
    assert "read in regions of at most 50 x 50 pixels" in survey.on_images()[0]
    train, val = split(found)
    assert len(train) + len(val) == 6
    assert 1 <= len(val) <= 2


def test_what_is_small_or_has_no_windows_is_read_as_a_whole(tmp_path, arrays):
    image, labels = arrays
    small = stored(tmp_path, image[:40, :50], labels[:40, :50])
    assert open_large(small, AS_NUMBERED, {}) is None
    np.save(tmp_path / "l.npy", labels)
    tifffile.imwrite(tmp_path / "a.tif", image)
    mixed = Entry(image=tmp_path / "a.tif", labels=tmp_path / "l.npy", name="a")
    assert open_large(mixed, AS_NUMBERED, {}) is None
    assert open_annotated([mixed])[0].size == SIZE


def test_the_only_full_channel_of_a_large_picture_is_read_as_grey(tmp_path, arrays):
    image, labels = arrays
    entry = stored(tmp_path, image, labels)
    rgb = np.zeros((*SIZE, 3), np.uint8)
    rgb[..., 1] = image // 256
    tifffile.imwrite(entry.image, rgb, photometric="rgb")
    found = open_annotated([entry])
    assert {a.image.ndim for a in found} == {2}
    np.testing.assert_array_equal(found[0].image, rgb[:50, :43, 1])


def test_an_image_that_stays_as_it_is_is_not_read_for_its_limits(tmp_path, arrays, monkeypatch):
    image, labels = arrays
    entry = stored(tmp_path, (image // 256).astype(np.uint8), labels.astype(np.uint8))
    found = open_annotated([entry])
    monkeypatch.setattr(regions, "image_limits", None)
    preprocessing = Preprocessing(intensity="none", scale=1.0)
    sample = lazy_samples(found, [preprocessing] * 6, 64)[0]
    np.testing.assert_array_equal(sample.image[..., 0], found[0].image)


def test_regions_in_which_nobody_annotated_are_left_out(tmp_path, arrays):
    image, labels = arrays
    labels[:50] = -1
    assert len(open_annotated([stored(tmp_path, image, labels.astype(np.int16))])) == 3
    meaning = LabelMeaning(ignore=(255,))
    with pytest.raises(ImageError, match=r"l.tif: no pixel is annotated; leave this pair out"):
        open_annotated([stored(tmp_path, image, np.full(SIZE, 255, np.uint8))], meaning=meaning)


def test_an_object_may_fill_a_region_and_masks_are_refused(tmp_path, arrays):
    image, labels = arrays
    filled = labels.astype(np.uint8)
    filled[:50, :43] = 99
    assert len(open_annotated([stored(tmp_path, image, filled)])) == 6
    with pytest.raises(ImageError, match=r"l.tif: a.tif \(rows .*separate parts"):
        open_annotated([stored(tmp_path, image, (labels > 0).astype(np.uint8) * 255)])


def test_sizes_that_differ_are_refused_before_pixels_are_read(tmp_path, arrays):
    image, labels = arrays
    with pytest.raises(ImageError, match=r"l.tif: the labels are 130 x 100 .*transposed"):
        open_annotated([stored(tmp_path, image, np.ascontiguousarray(labels.T))])


def test_few_regions_are_looked_at(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(regions, "LOOKED_AT", 2)
    image, labels = arrays
    found = open_annotated([stored(tmp_path, image, labels.astype(np.uint8))])
    whole = open_annotated([stored(tmp_path, image[:40, :50], labels[:40, :50])])
    assert fewer_regions([*found, *whole]) == [*whole, found[0], found[3]]
