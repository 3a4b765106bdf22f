"""What validates after each epoch: always the same images, from as many groups as can be."""

import numpy as np
import pytest

from samzoo.training.config import TrainConfig
from samzoo.training.data.annotated import Annotated
from samzoo.training.fit.validation_part import about_epochs, after_an_epoch, is_partial


def images(*groups, empty=()):
    """An image for each group, named by its place."""
    found = []
    for place, group in enumerate(groups):
        labels = np.zeros((8, 8), np.int32)
        labels[2:5, 2:5] = place not in empty
        found.append(Annotated(labels.astype(np.uint8), labels, f"{place}", group=group))
    return found


def names(found, most):
    chosen = after_an_epoch(found, TrainConfig(validation_images=most))
    return "".join(a.name for a in chosen)


def test_by_default_all_images_validate():
    found = images("", "", "")
    for most in (0, 3, 4):
        assert after_an_epoch(found, TrainConfig(validation_images=most)) is found
    assert not is_partial(found, TrainConfig(validation_images=3))
    assert about_epochs(found, TrainConfig()) == []


def test_images_without_groups_are_spread_over_the_list():
    assert names(images(*[""] * 9), 3) == "147"


def test_each_group_gives_as_many_images_as_it_can():
    found = images(*"aaaaaabbc")
    assert names(found, 2) in ("38", "37")
    chosen = names(found, 3)
    assert [found[int(place)].group for place in chosen] == ["a", "b", "c"]
    assert len(names(found, 7)) == 7  # small groups leave places for the large one
    assert {found[int(place)].group for place in names(found, 4)} == {"a", "b", "c"}


@pytest.mark.parametrize("most", range(1, 10))
def test_the_choice_has_the_wanted_size_no_image_twice_and_an_object(most):
    for groups in ("aaabbbcccd", "a" * 10, "abcdefghij", "aaaaaaaaab"):
        found = images(*groups, empty=range(9))
        chosen = names(found, most)
        assert len(set(chosen)) == len(chosen) == most
        assert "9" in chosen
        assert list(chosen) == sorted(chosen)


def test_what_validates_is_said():
    config = TrainConfig(validation_images=6, validation_objects=4)
    told = about_epochs(images(*[""] * 12), config)
    assert told == [
        "validates after each epoch on 6 of 12 images (1, 3, 5, 7, 9 and 1 more) with at most 4 "
        "prompted objects each; the best checkpoint on all at the end"
    ]
    assert "on all images with at most 4" in about_epochs(images("", ""), config)[0]
