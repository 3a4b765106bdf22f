"""An image and its labels are read together, of one size, with the meaning that the user says."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime.errors import ImageError
from samzoo.runtime.images.reading import write_labels
from samzoo.runtime.labels.annotation import LabelMeaning, check_sizes, read_pair
from samzoo.runtime.labels.survey import Survey


@pytest.fixture
def files(tmp_path):
    Image.new("RGB", (50, 40)).save(tmp_path / "image.png")
    return tmp_path / "image.png", tmp_path / "labels.tif"


def test_labels_without_an_object_are_data(files):
    image, labels = files
    write_labels(labels, np.zeros((40, 50), np.int32))
    found_image, found_labels = read_pair(image, labels)
    assert (found_image.shape, found_labels.shape) == ((40, 50, 3), (40, 50))
    assert not found_labels.any()


@pytest.mark.parametrize(
    ("size", "hint"),
    [((50, 40), "one of the two is transposed"), ((20, 25), "one of the two was resized"),
     ((40, 49), "they must be equal")],
)  # fmt: skip
def test_other_sizes_name_both_files_and_both_shapes(files, size, hint):
    image, labels = files
    write_labels(labels, np.zeros(size, np.int32))
    with pytest.raises(ImageError) as caught:
        read_pair(image, labels)
    message = str(caught.value)
    assert f"labels.tif: the labels are {size[0]} x {size[1]} pixels" in message
    assert "image.png is 40 x 50" in message
    assert hint in message


def test_square_arrays_of_one_size_pass():
    check_sizes(np.zeros((7, 7, 3)), np.zeros((7, 7), np.int32), image_where="", label_where="")


def test_the_meaning_of_a_mask_with_ignored_pixels_is_applied(files):
    image, labels = files
    mask = np.zeros((40, 50), np.uint8)
    mask[5:35:10, 5:45:10] = mask[6:36:10, 5:45:10] = mask[5:35:10, 6:46:10] = 1
    mask[:, 45:] = 255
    tifffile.imwrite(labels, mask)
    meaning = LabelMeaning(split_components=True, ignore=(255,))
    with pytest.raises(ImageError, match="12 of 12 separate parts have at most 4"):
        read_pair(image, labels, meaning=meaning)
    mask[5:40:10, 5:48:10] = 1
    mask = np.kron(mask, np.ones((1, 1), np.uint8))
    mask[7:37:10, 5:45:10] = mask[8:38:10, 5:45:10] = mask[7:37:10, 6:46:10] = 1
    mask[:, 45:] = 255
    tifffile.imwrite(labels, mask)
    survey = Survey()
    _, found = read_pair(image, labels, meaning=meaning, survey=survey)
    assert (found[:, 45:] == -1).all()
    assert survey.counts.objects == found.max() == 16
    assert survey.counts.ignored == 40 * 5


def test_what_an_image_file_says_of_its_pixels_reaches_the_survey_once(tmp_path):
    survey = Survey()
    labels = np.zeros((20, 30), np.int32)
    labels[5:12, 8:20] = 1
    write_labels(tmp_path / "labels.tif", labels)
    blue = np.zeros((20, 30, 3), np.uint8)
    blue[..., 2] = 40 + 100 * labels
    for name in ("a", "b", "c"):
        Image.fromarray(blue).save(tmp_path / f"{name}.png")
        read_pair(tmp_path / f"{name}.png", tmp_path / "labels.tif", survey=survey)
    inverted = (200 - 100 * labels).astype(np.uint8)
    tifffile.imwrite(tmp_path / "d.tif", inverted, photometric="miniswhite")
    read_pair(tmp_path / "d.tif", tmp_path / "labels.tif", survey=survey)
    assert survey.on_images() == [
        "a.png and 2 more images: only the blue channel holds anything; it was read as a grey "
        "image",
        "d.tif: the file says that its white is zero; its values were inverted",
    ]
    assert survey.facts()["notes"] == survey.on_images()
    assert survey.sentences()[1:3] == survey.on_images()
