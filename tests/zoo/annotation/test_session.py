"""A person at work: prompts, corrections, the next image, and tomorrow."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import ImageError, InputError
from samzoo.zoo.annotation.collection import Collection
from samzoo.zoo.annotation.session import AnnotationSession, Reading


def stored(session):
    return tifffile.imread(session.document.place.labels)


def test_a_walk_through_all_actions_and_the_next_day(session):
    today = session()
    today.automatic()
    today.accept_automatic(keep=False)
    np.testing.assert_array_equal(np.unique(stored(today)), range(5))
    today.delete([2])
    today.prompt(points=[(90, 40)], point_labels=[1])
    assert today.accept() == 5
    today.prompt(box=(10, 5, 30, 25))
    assert today.accept(label=1) == 1
    assert today.split(5, [(90.5, 0), (90.5, 119)]) == [5, 6]
    today.merge([5, 6])
    assert today.undo() == "merge"
    np.testing.assert_array_equal(np.unique(stored(today)), [0, 1, 3, 4, 5, 6])
    labels = today.labels
    today.next()
    assert not today.labels.any()
    today.prompt(points=[(20, 20)], point_labels=[1])
    today.accept()
    tomorrow = session()
    assert tomorrow.number == 1
    assert tomorrow.labels.max() == 1
    tomorrow.next(-1)
    np.testing.assert_array_equal(tomorrow.labels, labels)
    assert tomorrow.redo() == "merge"
    for _ in range(5):
        tomorrow.undo()
    assert not tomorrow.labels.any()


def test_the_next_day_encodes_nothing_again(session, monkeypatch):
    today = session(diameter=None)
    today.prepare()

    def refuse(*_):
        raise AssertionError("the encoder ran again")

    monkeypatch.setattr("samzoo.runtime.large.embedding_store.encode_window", refuse)
    tomorrow = session()
    tomorrow.prompt(points=[(20, 15)], point_labels=[1])
    assert tomorrow.candidate.pixels > 50


def test_a_session_that_keeps_adds_beside_what_is_there(session):
    here = session()
    here.prompt(box=(10, 5, 30, 25))
    here.accept()
    here.automatic()
    here.accept_automatic(keep=True)
    assert here.labels.max() == 4
    assert here.labels[15, 20] == 1


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.accept(), "no mask waits"),
        (lambda s: s.accept_automatic(keep=True), "no automatic labels wait"),
        (lambda s: s.delete([3]), "object 3"),
        (lambda s: s.next(-1), "this is the first image"),
        (lambda s: s.open(7), "image 8: there are images 1 to 2"),
        (lambda s: s.prepare(diameter=12.0), "diameter: found 12"),
        (lambda s: s.object_mask(2), "object 2"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(session, act, message):
    here = session()
    with pytest.raises(InputError, match=message):
        act(here)
    assert not here.labels.any()
    assert here.number == 0


def test_two_sessions_on_one_image_are_refused_and_on_two_images_are_not(session, images):
    here = session()
    with pytest.raises(InputError, match="is being annotated in another window"):
        AnnotationSession(Collection(images), here.model)
    other = AnnotationSession(Collection(images / "b.tif"), here.model)
    with pytest.raises(InputError, match="is being annotated in another window"):
        here.next()
    assert here.number == 0
    here.prompt(box=(10, 5, 30, 25))
    here.accept()
    other.close()
    here.next()


def test_an_image_that_is_too_large_is_refused(session):
    with pytest.raises(ImageError, match="has 128 x 120 pixels, allowed here are 9000"):
        session(reading=Reading(most_pixels=9000))


def test_opening_an_image_again_takes_labels_that_another_program_wrote(session):
    here = session()
    here.prompt(box=(10, 5, 30, 25))
    here.accept()
    labels = stored(here)
    tifffile.imwrite(here.document.place.labels, labels * np.uint16(3))
    with pytest.raises(InputError, match="changed by another program"):
        here.delete([1])
    here.open(0)
    assert here.labels.max() == 3
    assert any("taken as it is now" in note for note in here.notes)


def test_an_annotator_loads_no_torch(images, toy_package):
    script = (
        "import sys; from pathlib import Path\n"
        "from samzoo.runtime import load\n"
        "from samzoo.zoo.annotation.collection import Collection\n"
        "from samzoo.zoo.annotation.session import AnnotationSession\n"
        "s = AnnotationSession(Collection(Path(sys.argv[1])), load(sys.argv[2]))\n"
        "s.automatic(); s.accept_automatic(keep=False)\n"
        "print([n for n in ('torch', 'skimage', 'scipy') if n in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, images, toy_package], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
