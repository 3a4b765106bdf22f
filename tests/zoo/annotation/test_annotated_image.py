"""Labels and history on the disk: nothing accepted is lost, whatever happens in between."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import ImageError, InputError, StorageError, WriteError
from samzoo.zoo.annotation import annotated_image as module

SHAPE = (120, 128)


def square(labels, number):
    """The labels with one more square."""
    after = labels.copy()
    row, column = divmod(number - 1, 12)
    after[row * 10 : row * 10 + 8, column * 10 : column * 10 + 8] = number
    return after


def test_changes_are_on_the_disk_at_once_and_the_next_start_goes_on(document):
    image = document()
    for number in (1, 2, 3):
        assert image.commit("add", square(image.labels, number))
        np.testing.assert_array_equal(tifffile.imread(image.place.labels), image.labels)
    assert not image.commit("add", image.labels.copy())
    assert image.undo() == "add"
    kept = image.labels
    image = document()
    np.testing.assert_array_equal(image.labels, kept)
    assert (image.can_undo, image.can_redo) == (True, True)
    assert image.redo() == "add"
    assert image.labels.max() == 3
    assert not image.can_redo
    for _ in range(3):
        image.undo()
    assert not image.labels.any()
    with pytest.raises(InputError, match="nothing to undo"):
        image.undo()
    image.commit("add", square(image.labels, 9))  # what was undone is gone
    with pytest.raises(InputError, match="nothing to do again"):
        image.redo()
    assert image.notes == []


SCRIPT = """
import sys
from pathlib import Path
import numpy as np, tifffile
from samzoo.zoo.annotation.annotated_image import AnnotatedImage, Place
image, labels, state = map(Path, sys.argv[1:])
document = AnnotatedImage(Place(image, labels, state), lambda: tifffile.imread(image))
number = int(document.labels.max())
while True:
    number += 1
    after = document.labels.copy()
    row, column = divmod((number - 1) % 144, 12)
    after[row * 10 : row * 10 + 8, column * 10 : column * 10 + 8] = number
    document.commit("add", after)
    print(number, flush=True)
    document.undo()
    print(-number, flush=True)
    document.redo()
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_nothing_accepted_is_lost_when_the_process_is_killed(document, rng):
    place = document().place
    document().close()
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT, place.image, place.labels, place.folder],
            stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(float(rng.uniform(0, 0.12)))
            process.send_signal(signal.SIGKILL)
            told = [int(line) for line in (first + process.stdout.read()).split()]
        image = document()
        assert image.notes == []
        highest = int(image.labels.max())
        # What was told last is there, or the step after it, which was on its way: after adding
        # and making again comes undoing or the next square, after undoing making again.
        last = told[-1]
        assert highest in ((last - 1, last, last + 1) if last > 0 else (-last - 1, -last))
        assert highest >= -1 + max(map(abs, told))
        while image.can_undo:
            image.undo()
        assert not image.labels.any()
        while image.can_redo and image.labels.max() < highest:
            image.redo()
        assert image.labels.max() == highest
        image.close()


@pytest.mark.parametrize("failing", ["history", "write_json", "write_labels"])
def test_a_full_disk_loses_nothing_and_the_change_can_be_tried_again(
    document, monkeypatch, failing
):
    image = document()
    image.commit("add", square(image.labels, 1))
    kept, file = image.labels, image.place.labels.read_bytes()

    def full(*_, **__):
        raise WriteError("x: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        if failing == "history":
            patch.setattr(image._history, "write", full)
        else:
            patch.setattr(module, failing, full)
        for change in (lambda: image.commit("add", square(kept, 2)), image.undo):
            if failing == "history" and change == image.undo:
                continue
            with pytest.raises(StorageError, match="No space left"):
                change()
            np.testing.assert_array_equal(image.labels, kept)
            assert image.place.labels.read_bytes() == file
    assert image.commit("add", square(kept, 2))
    image = document()
    assert image.labels.max() == 2
    assert image.can_undo


def test_each_point_between_the_files_of_a_change_is_found_again(document, tmp_path):
    """The files before and after a change, in every mixture that a kill can leave."""
    image = document()
    image.commit("add", square(image.labels, 1))
    image.close()
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "state", before / "state")
    shutil.copytree(tmp_path / "labels", before / "labels")
    image = document()
    image.commit("add", square(image.labels, 2))
    image.close()
    after = tmp_path / "after"
    shutil.copytree(tmp_path / "state", after / "state")
    shutil.copytree(tmp_path / "labels", after / "labels")
    for state, labels in (("before", "before"), ("before", "after"), ("after", "before")):
        shutil.copytree(tmp_path / state / "state", tmp_path / "state", dirs_exist_ok=True)
        shutil.copytree(after / "state" / "a" / "history", tmp_path / "state" / "a" / "history",
                        dirs_exist_ok=True)  # fmt: skip
        shutil.copytree(tmp_path / labels / "labels", tmp_path / "labels", dirs_exist_ok=True)
        image = document()
        assert image.labels.max() == (2 if labels == "after" else 1)
        assert image.notes == []
        image.undo()
        assert image.labels.max() == (1 if labels == "after" else 0)
        image.close()


def test_a_second_session_on_the_same_labels_is_refused(document):
    image = document()
    with pytest.raises(InputError, match="is being annotated in another window"):
        module.AnnotatedImage(image.place, image._read)
    image.commit("add", square(image.labels, 1))


def test_an_image_that_changed_is_refused_and_its_labels_stay(document):
    image = document()
    image.commit("add", square(image.labels, 1))
    labels = image.place.labels.read_bytes()
    pixels = tifffile.imread(image.place.image)
    tifffile.imwrite(image.place.image, pixels, compression="zlib")  # the same pixels
    image.commit("add", square(image.labels, 2))
    image.undo()
    tifffile.imwrite(image.place.image, pixels[::-1])
    for change in (lambda: image.commit("add", square(image.labels, 2)), image.redo, image.undo):
        with pytest.raises(ImageError, match="its pixels are not those that were annotated"):
            change()
    with pytest.raises(ImageError, match="its pixels are not those that were annotated"):
        document()
    assert image.place.labels.read_bytes() == labels
    tifffile.imwrite(image.place.image, pixels)
    assert document().labels.max() == 1


def test_labels_of_another_size_are_refused_and_stay(document):
    place = document().place
    place.labels.parent.mkdir(exist_ok=True)
    tifffile.imwrite(place.labels, np.ones((20, 30), np.uint8))
    kept = place.labels.read_bytes()
    with pytest.raises(ImageError, match="the labels are 20 x 30 pixels"):
        document()
    assert place.labels.read_bytes() == kept


def test_labels_that_another_program_wrote_are_never_overwritten(document):
    image = document()
    image.commit("add", square(image.labels, 1))
    other = square(image.labels, 44).astype(np.uint16)
    tifffile.imwrite(image.place.labels, other)
    with pytest.raises(InputError, match="was changed by another program"):
        image.commit("add", square(image.labels, 2))
    image = document()
    np.testing.assert_array_equal(image.labels, other)
    assert "is taken as it is now" in image.notes[0]
    assert not image.can_undo
    image.commit("add", square(image.labels, 2))
    image.undo()
    np.testing.assert_array_equal(image.labels, other)


def test_labels_that_segment_wrote_are_where_a_session_begins(document):
    place = document().place
    place.labels.parent.mkdir(exist_ok=True)
    tifffile.imwrite(place.labels, square(np.zeros(SHAPE, np.uint16), 5))
    image = document()
    assert image.labels.max() == 5
    assert image.notes == []


@pytest.mark.parametrize("content", ["{}", "[]", "no", '{"format": 3}'])
def test_a_damaged_state_is_named(document, content):
    image = document()
    image.commit("add", square(image.labels, 1))
    path = image.place.folder / "state.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"state.json"):
        document()
    path.unlink()
    assert document().labels.max() == 1
