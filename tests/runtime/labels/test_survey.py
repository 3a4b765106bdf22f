"""What was read is said in one line, with right numbers."""

import numpy as np

from samzoo.runtime.labels.survey import LabelCounts, Survey


def discs(*diameters):
    labels = np.zeros((60, 60 * len(diameters)), np.int32)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    for i, d in enumerate(diameters):
        labels[(y - 30) ** 2 + (x - 30 - 60 * i) ** 2 < (d / 2) ** 2] = i + 1
    return labels


def test_the_line_has_images_objects_and_diameters():
    counts = LabelCounts.of([discs(23, 24, 50), discs(20, 4.2)])
    assert counts.line() == "2 images, 5 objects, median diameter 23 px, smallest 4 px"
    one = LabelCounts.of([discs(23)])
    assert one.line() == "1 image, 1 object, median diameter 23 px, smallest 23 px"


def test_empty_images_and_what_is_not_annotated_are_said():
    partly = discs(23)
    partly[:15] = -1
    counts = LabelCounts.of([partly, np.zeros((60, 60), np.int32)])
    assert counts.line() == (
        "2 images, 1 object, median diameter 23 px, smallest 23 px, 1 image without objects, "
        "12 % of the pixels not annotated"
    )
    assert counts.facts()["not_annotated"] == 0.125
    assert LabelCounts.of([np.zeros((9, 9), np.int32)]).line() == (
        "1 image, 0 objects, 1 image without objects"
    )


def test_many_odd_label_images_are_counted_not_listed():
    survey = Survey()
    for i in range(8):
        survey.add(np.eye(4) * i, np.eye(4, dtype=np.int32), odd=[f"{i} is odd"])
    assert survey.sentences()[1:7] == [
        *(f"{i} is odd" for i in range(5)), "and 3 more label images as odd",
    ]  # fmt: skip
    assert len(survey.contents) == 8
    assert survey.contents[0] == ""


def test_copies_of_an_image_are_said():
    survey = Survey()
    image = np.arange(20).reshape(4, 5)
    others = (image + np.eye(4, 5) * 20, np.zeros((4, 5)), np.ones((4, 5)))
    for each in (image, image[::-1] * 3, *others):
        survey.add(each, np.zeros((4, 5), np.int32), odd=[])
    assert survey.sentences()[1:] == [
        "copies of a picture that is there already, perhaps mirrored or turned: 1 of 5 images"
    ]
