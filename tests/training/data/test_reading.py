"""Annotated images, read from folders, files and lists."""

import numpy as np
import pytest
import tifffile
import tiny

from samzoo.runtime.errors import ImageError, NotFoundError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.labels.annotation import LabelMeaning
from samzoo.runtime.labels.contents import content_identity
from samzoo.runtime.labels.lists import entries
from samzoo.runtime.labels.survey import Survey
from samzoo.training.data.annotated import Annotated, AnnotatedPart
from samzoo.training.data.division import split
from samzoo.training.data.reading import open_annotated, read_annotated
from samzoo.training.data.samples import prepare


def annotated(seed=0, shape=(80, 96)):
    image, labels = tiny.make_cells(shape, seed)
    return Annotated(image, labels, f"cells {seed}")


def test_read_annotated_reads_pairs(tmp_path):
    from PIL import Image

    image, labels = tiny.make_cells()
    for folder, array in (("images", image), ("labels", labels.astype(np.uint8))):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    (found,) = read_annotated(tmp_path / "images", tmp_path / "labels")
    np.testing.assert_array_equal(found.image, image)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.name == "a.png"
    with pytest.raises(NotFoundError):
        read_annotated(tmp_path / "nothing", tmp_path / "labels")


def test_read_annotated_tells_what_it_read_and_whose_picture_it_is(tmp_path):
    whole = annotated()
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    tifffile.imwrite(tmp_path / "images/a.ome.tif", whole.image)
    tifffile.imwrite(tmp_path / "labels/a_masks.tif", (whole.labels > 0).astype(np.uint8) * 255)
    with pytest.raises(ImageError, match=r"a_masks\.tif: id 255 has \d+ separate parts"):
        read_annotated(tmp_path / "images", tmp_path / "labels")
    survey = Survey()
    (found,) = read_annotated(
        tmp_path / "images", tmp_path / "labels", survey=survey,
        meaning=LabelMeaning(split_components=True),
    )  # fmt: skip
    assert survey.counts.objects == found.labels.max() > 3
    left, right = split([found])
    assert left[0].content == right[0].content == content_identity(whole.image)


def test_all_bad_pairs_are_named_at_once(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for name in "abc":
            pixels = (9 if folder == "images" else 1) * np.eye(8, dtype=np.uint8)
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", pixels)
    (tmp_path / "images" / "a.tif").write_bytes(b"")
    tifffile.imwrite(tmp_path / "labels" / "c.tif", np.eye(7, dtype=np.uint8))
    with pytest.raises(
        ImageError, match=r"2 pairs cannot be used:(\n.*)+a\.tif: the file is empty"
    ):
        read_annotated(tmp_path / "images", tmp_path / "labels")
    (tmp_path / "images" / "a.tif").write_bytes((tmp_path / "images" / "b.tif").read_bytes())
    with pytest.raises(ImageError, match=r"^.*c\.tif: the labels are 7 x 7"):
        read_annotated(tmp_path / "images", tmp_path / "labels")


def test_read_annotated_takes_lists_tables_and_parts(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for seed, name in enumerate("ab"):
        image, labels = tiny.make_cells((48, 64), seed)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", image)
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", labels.astype(np.uint8))
    (tmp_path / "split.csv").write_text("file,split,group\na.tif,train,f\nb.tif,test,g\n")
    folders = tmp_path / "images", tmp_path / "labels"
    (found,) = read_annotated(*folders, split=tmp_path / "split.csv", part="test")
    assert (found.name, found.group) == ("b.tif", "g")
    assert prepare(found, Preprocessing(scale=1.0), 64).group == "g"
    (tmp_path / "list.csv").write_text("image,label,group,weight\nimages/b.tif,labels/b.tif,g,2\n")
    (same,) = read_annotated(tmp_path / "list.csv")
    assert (same.name, same.group, same.weight) == ("images/b.tif", "g", 2.0)
    assert prepare(same, Preprocessing(scale=1.0), 64).weight == 2.0
    (stored,) = open_annotated(entries(tmp_path / "list.csv", None))
    assert (stored.weight, AnnotatedPart(stored, slice(9), "left").weight) == (2.0, 2.0)
    np.testing.assert_array_equal(same.labels, found.labels)
