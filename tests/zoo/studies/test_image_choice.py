"""Few images of a list: spread over groups, nested, and another choice for another seed."""

import dataclasses

import pytest

from samzoo.runtime.errors import InputError
from samzoo.runtime.labels.lists import entries, of_part
from samzoo.zoo.studies.image_choice import check_parts, chosen_images, write_image_list


def names(listed, number, seed=0):
    chosen = chosen_images(listed, number, seed)
    return {part: {e.name for e in of_part(chosen, part)} for part in ("train", "val", "test")}


def test_each_group_gives_one_image_before_one_gives_a_second(listed):
    groups = {entry.name: entry.group for entry in listed}
    for seed in range(5):
        three = names(listed, 3, seed)["train"]
        assert {groups[name] for name in three} == {"a", "b", "c"}
        assert len(three) == 3


def test_smaller_numbers_are_part_of_larger_ones_and_seeds_differ(listed):
    for part, counts in (("train", (1, 2, 5, 6, 6)), ("val", (1, 2, 3, 3, 3))):
        previous: set[str] = set()
        for number, count in zip((1, 2, 5, 6, 0), counts, strict=True):
            found = names(listed, number)[part]
            assert len(found) == count
            assert previous <= found
            previous = found
    assert len({frozenset(names(listed, 1, seed)["train"]) for seed in range(20)}) > 2
    assert names(listed, 2) == names(listed, 2)


def test_all_of_the_test_is_scored(listed):
    assert names(listed, 1)["test"] == {"9"}


def test_a_list_without_a_part_or_with_too_few_images_is_refused(listed):
    check_parts(listed, (1, 6, 0), where="s.toml")
    with pytest.raises(InputError, match="numbers: found 7, but 6 images are in the part 'train'"):
        check_parts(listed, (1, 7), where="s.toml")
    for part in ("train", "val", "test"):
        rest = [entry for entry in listed if entry.part != part]
        with pytest.raises(InputError, match=rf"s\.toml: no image is in the part '{part}'"):
            check_parts(rest, (0,), where="s.toml")


def test_the_list_is_read_as_it_was_chosen(listed, tmp_path):
    for entry in listed:
        entry.image.write_bytes(b"")
        entry.labels.write_bytes(b"")
    rich = [dataclasses.replace(e, stratum="s", classes=("x", "y"), weight=2.5) for e in listed]
    path = tmp_path / "elsewhere" / "images.csv"
    path.parent.mkdir()
    write_image_list(rich, path)
    found = entries(path, None)
    assert [dataclasses.replace(e, name="") for e in found] == [
        dataclasses.replace(e, name="") for e in rich
    ]
