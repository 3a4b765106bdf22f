"""``samzoo prompt --labels``: objects added to a label file, replaced in it, deleted from it."""

import json

import numpy as np
import pytest
import tifffile

from samzoo.zoo.annotation.label_file import locked_labels


@pytest.fixture
def labels(tmp_path):
    """Labels of the image's four discs, of which two are there, one of them badly outlined."""
    values = np.zeros((120, 128), np.uint16)
    values[8:12, 14:20] = 3
    values[35:46, 85:96] = 5
    path = tmp_path / "labels.tif"
    tifffile.imwrite(path, values)
    return path


def test_an_object_is_added_in_place_with_a_new_number(run, image, labels):
    before = tifffile.imread(labels)
    status, out, _ = run("prompt", image, "--labels", labels, "--add", "--point", 30, 100, "--json")
    assert status == 0
    [row] = json.loads(out)["objects"]
    after = tifffile.imread(labels)
    assert row["label"] == 6 == after[100, 30]
    np.testing.assert_array_equal(np.where(after == 6, 0, after), before)
    assert sorted(path.name for path in labels.parent.iterdir()) == [
        "cells.tif", "labels.tif", "toy-package",
    ]  # fmt: skip


def test_an_object_gets_another_mask_and_another_file_may_take_it(run, image, labels, tmp_path):
    kept = labels.read_bytes()
    given = ("--labels", labels, "--replace", 3, "--box", 10, 5, 30, 25)
    assert run("prompt", image, *given, "-o", tmp_path / "new.tif")[0] == 0
    assert labels.read_bytes() == kept
    after = tifffile.imread(tmp_path / "new.tif")
    np.testing.assert_array_equal(after == 5, tifffile.imread(labels) == 5)
    np.testing.assert_array_equal((after == 3)[:30, :40], tifffile.imread(image)[:30, :40] > 0)
    assert run("prompt", image, *given, "-o", tmp_path / "new.tif")[0] == 2
    assert run("prompt", image, *given, "-o", tmp_path / "new.tif", "--force")[0] == 0


def test_objects_are_deleted_without_a_model(run, image, labels, tmp_path):
    overlay = tmp_path / "o.png"
    words = ("prompt", image, "--labels", labels, "--delete", 3, 5, "--overlay", overlay)
    assert run(*words, model=False)[0] == 0
    assert not tifffile.imread(labels).any()
    assert overlay.is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--add", "--box", 86, 36, 94, 44), "lies wholly in other objects (5)"),
        (("--replace", 9, "--box", 10, 5, 30, 25), "object 9: is not in the labels; they hold 3"),
        (("--replace", 3, "--box", 1, 1, 9, 9, "--box", 2, 2, 9, 9), "found 2 objects"),
        (("--replace", 3, "--point", 64, 5), "the mask is empty"),
        (("--delete", 4), "--model: is for masks, and --delete makes none"),
        (("--add", "--replace", 3, "--point", 30, 100), "found --add and --replace"),
        (("--point", 30, 100), "needs one of --add, --replace ID and --delete ID, found none"),
    ],
)
def test_what_cannot_be_corrected_changes_nothing(run, image, labels, words, message):
    kept = labels.read_bytes()
    status, out, err = run("prompt", image, "--labels", labels, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert labels.read_bytes() == kept


def test_labels_of_another_size_or_open_in_a_session_are_refused(run, image, labels, tmp_path):
    kept = labels.read_bytes()
    words = ("prompt", image, "--labels", labels, "--add", "--point", 30, 100)
    with locked_labels(labels):
        status, _, err = run(*words)
    assert status == 2
    assert "is being annotated in another window" in err
    tifffile.imwrite(tmp_path / "small.tif", np.zeros((9, 9), np.uint8))
    status, _, err = run("prompt", image, "--labels", tmp_path / "small.tif", *words[4:])
    assert status == 2
    assert "the labels are 9 x 9 pixels" in err
    assert labels.read_bytes() == kept
