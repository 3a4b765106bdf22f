"""Which images a session has, where their labels lie, and where the last session ended."""

import shutil
from pathlib import Path

import pytest

from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.zoo.annotation.collection import Collection


def test_a_folder_has_its_images_and_labels_beside_them(images):
    found = Collection(images)
    assert found.shown == ["a.tif", "b.tif"]
    assert found.place(1).labels == images / "labels" / "b.tif"
    assert found.last == 0
    with pytest.raises(InputError, match="image 3: there are images 1 to 2"):
        found.place(2)


def test_an_image_alone_and_an_output_of_ones_own(images, tmp_path):
    found = Collection(images / "b.tif", tmp_path / "out")
    assert found.shown == ["b.tif"]
    assert found.place(0).labels == tmp_path / "out" / "labels" / "b.tif"


def test_the_next_start_knows_image_and_diameter(images):
    found = Collection(images)
    found.remember(1, "auto", 21.5)
    found = Collection(images)
    assert found.last == 1
    assert found.diameter(1, "auto") == 21.5
    assert found.diameter(1, "own") is None
    assert found.diameter(0, "auto") is None
    assert Collection(images / "b.tif").last == 0


def test_two_images_of_one_name_keep_their_labels_when_one_is_renamed(images):
    shutil.copy(images / "a.tif", images / "a.tiff")
    found = Collection(images)
    for number in range(3):
        found.remember(number)
    places = [found.place(number).labels.name for number in range(3)]
    assert len(set(places)) == 3
    (images / "a.tif").unlink()
    assert [Collection(images).place(n).labels.name for n in range(2)] == places[1:]


@pytest.mark.parametrize("content", ["{}", '{"format": {"name": "x", "version": 1}}', "no"])
def test_a_damaged_record_is_named(images, content):
    found = Collection(images)
    found.remember(0)
    (found.folder / "session.json").write_text(content)
    with pytest.raises(FormatError, match=r"session.json"):
        Collection(images)


def test_what_is_no_image_is_told(images, tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        Collection(Path("nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image"):
        Collection(tmp_path / "empty")
    with pytest.raises(InputError, match="is needed as a folder"):
        Collection(images, images / "a.tif")
