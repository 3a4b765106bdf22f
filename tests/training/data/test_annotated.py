"""Annotated images in memory, in files and as parts answer alike."""

import os

import numpy as np
import pytest
import tifffile
import tiny

from samzoo.runtime.errors import SamzooError
from samzoo.runtime.labels.annotation import LabelMeaning
from samzoo.runtime.labels.contents import content_identity
from samzoo.runtime.labels.lists import Entry
from samzoo.training.data.annotated import (
    Annotated,
    AnnotatedPart,
    contents,
    data_digest,
)
from samzoo.training.data.reading import open_annotated

ANSWERS = ("image", "labels", "name", "content", "group", "size", "areas", "identity", "digest")


def annotated(seed=0, shape=(80, 96)):
    image, labels = tiny.make_cells(shape, seed)
    return Annotated(image, labels, f"cells {seed}")


@pytest.fixture
def entry(tmp_path):
    """An annotated image on the disk; two objects have the id 1."""
    a = annotated()
    a.labels[a.labels == 2] = 1
    tifffile.imwrite(tmp_path / "a.tif", a.image)
    tifffile.imwrite(tmp_path / "l.tif", a.labels.astype(np.uint8))
    return Entry(image=tmp_path / "a.tif", labels=tmp_path / "l.tif", name="a", group="f")


@pytest.mark.parametrize("split", [False, True])
def test_a_file_answers_as_its_arrays_do(entry, split):
    meaning = LabelMeaning(split_components=split, ignore=(3,))
    (stored,) = open_annotated([entry], meaning=meaning)
    read = Annotated(stored.image, stored.labels, "a", content_identity(stored.image), "f")
    assert (read.labels == -1).any()
    for name in ANSWERS:
        np.testing.assert_array_equal(getattr(stored, name), getattr(read, name))


def test_a_file_keeps_no_pixels(entry):
    (stored,) = open_annotated([entry])
    arrays = [value for value in vars(stored).values() if isinstance(value, np.ndarray)]
    assert [array.size for array in arrays] == [len(stored.areas)]


@pytest.mark.parametrize("name", ["image", "labels"])
@pytest.mark.parametrize("change", ["touched", "gone"])
def test_a_file_that_changes_during_a_run_is_refused(entry, name, change):
    (stored,) = open_annotated([entry])
    path = getattr(entry, name)
    if change == "gone":
        path.unlink()
    else:
        os.utime(path, (0, 0))
    other = "labels" if name == "image" else "image"
    assert getattr(stored, other).size
    told = "no such file" if change == "gone" else "changed after the run had begun; put back"
    with pytest.raises(SamzooError, match=f"{path.name}: {told}"):
        getattr(stored, name)


def test_a_part_answers_as_its_arrays_do(entry):
    for whole in (annotated(), *open_annotated([entry])):
        part = AnnotatedPart(whole, slice(70, None), "part")
        read = Annotated(
            whole.image[:, 70:], whole.labels[:, 70:], "part", whole.content, whole.group
        )
        for name in ANSWERS:
            np.testing.assert_array_equal(getattr(part, name), getattr(read, name))
        assert contents([whole, part]) == {whole.identity: whole.name, read.identity: "part"}


def test_the_digest_of_data_sees_pixels_labels_and_order():
    a, b = annotated(0), annotated(1)
    other = Annotated(a.image, np.where(a.labels == 1, 0, a.labels), a.name)
    digests = [data_digest(s) for s in ([a], [other], [a, b], [b, a])]
    assert len(set(digests)) == 4
    assert data_digest([annotated(0)]) == digests[0]
