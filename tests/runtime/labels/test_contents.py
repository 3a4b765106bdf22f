"""The same picture is recognised in any container; images are not learned from and tested on."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime.errors import InputError
from samzoo.runtime.images.reading import read_image
from samzoo.runtime.labels.contents import about_seen, content_identity, refuse_shared


@pytest.fixture
def image():
    return np.random.default_rng(5).integers(3, 250, (20, 31)).astype(np.uint8)


def test_the_container_does_not_matter(tmp_path, image):
    Image.fromarray(image).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", image.astype(np.uint16) * 257)
    tifffile.imwrite(tmp_path / "c.tif", image.astype(np.float32) / 255)
    Image.fromarray(np.stack([image] * 3, -1)).save(tmp_path / "d.png")
    found = {content_identity(read_image(path)) for path in tmp_path.iterdir()}
    assert found == {content_identity(image)}


def test_mirrored_and_turned_copies_are_the_same_picture(image):
    copies = [np.rot90(view, k) for view in (image, image[::-1]) for k in range(4)]
    assert {content_identity(each) for each in copies} == {content_identity(image)}
    colour = np.stack([image, 255 - image, image], -1)
    assert content_identity(colour) == content_identity(colour[:, ::-1])


def test_one_other_pixel_is_another_picture(image):
    other = image.copy()
    other[4, 5] ^= 8
    assert content_identity(other) != content_identity(image)
    assert content_identity(image[:, :-1]) != content_identity(image)


def test_images_of_one_value_are_not_told_apart():
    assert content_identity(np.full((4, 4), 7)) == content_identity(np.zeros((9, 9))) == ""
    refuse_shared({"": "a.png"}, {"": "b.png"})


def test_shared_images_are_refused_with_both_names():
    refuse_shared({"1": "a.png"}, {"2": "a.png"})
    with pytest.raises(InputError, match=r"1 of 2 validation images .* v\.tif is a\.png\. Scores"):
        refuse_shared({"1": "a.png", "3": "c.png"}, {"2": "b.png", "1": "v.tif"})


def test_a_model_says_what_it_was_made_with():
    source = {"training": {"contents": {"training": ["a", "b"], "validation": ["c"]}}}
    assert about_seen(["x", "a"], source) == [
        "1 of 2 images are those that this model was trained on; scores on them are too good, so "
        "leave them out"
    ]
    assert "thresholds were chosen on" in about_seen(["c"], source)[0]
    for unknown in ({}, {"training": 3}, {"training": {"contents": {"training": "a"}}}):
        assert about_seen(["a", ""], unknown) == []
