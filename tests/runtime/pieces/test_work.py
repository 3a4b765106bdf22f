"""The work folder: it is continued for equal work, and refused for other."""

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.pieces.work import STATE_FILE, WorkFolder

STATE = {"version": 1, "size": [3, 4]}


@pytest.fixture
def work(tmp_path):
    return WorkFolder(tmp_path / "labels.tif.partial")


def test_a_new_folder_has_no_state_and_then_its_own(work):
    assert work.state() is None
    assert not work.start(STATE)
    assert work.state() == STATE
    assert work.start(STATE)


@pytest.mark.parametrize("compressed", [False, True])
def test_pieces_come_back_as_they_were_written(work, rng, compressed):
    arrays = {"labels": rng.integers(0, 9, (4, 5)).astype(np.int32), "areas": np.arange(3)}
    work.start(STATE)
    work.write("seeds", 1, arrays, compressed=compressed)
    assert work.missing("seeds", 3) == [0, 2]
    found = work.read("seeds", 1)
    assert found.keys() == arrays.keys()
    for name, expected in arrays.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype


def test_other_work_is_refused_by_its_first_difference(work):
    work.start(STATE)
    work.write("seeds", 0, {"labels": np.zeros(1)})
    with pytest.raises(InputError, match=r"was begun with other input: size: found .*\[3, 4\]"):
        work.start({**STATE, "size": [5, 6]})
    assert work.has("seeds", 0)


def test_force_begins_again_without_the_old_pieces(work):
    work.start(STATE)
    work.write("seeds", 0, {"labels": np.zeros(1)})
    other = {**STATE, "size": [5, 6]}
    assert not work.start(other, force=True)
    assert not work.has("seeds", 0)
    assert work.state() == other


def test_a_folder_of_something_else_is_not_touched(work):
    work.folder.mkdir()
    mine = work.folder / "notes.txt"
    mine.write_text("mine")
    with pytest.raises(InputError, match="is in the way"):
        work.start(STATE, force=True)
    assert mine.read_text() == "mine"


def test_what_a_stopped_clean_up_left_is_begun_anew(work):
    work.start(STATE)
    work.write("seeds", 0, {"labels": np.zeros(1)})
    (work.folder / "state.json").unlink()
    assert not work.start(STATE)
    assert not work.has("seeds", 0)
    assert work.state() == STATE


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip"])
def test_a_damaged_piece_is_named_with_what_to_do(work, content):
    work.start(STATE)
    work.write("maps", 2, {"maps": np.zeros(2)})
    path = work.folder / "maps" / "000002.npz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"000002\.npz: cannot be read .* delete this file"):
        work.read("maps", 2)


def test_a_pickle_in_a_piece_is_not_read(work):
    work.start(STATE)
    np.savez(work.folder / "x.npz", maps=np.array([{}], dtype=object))
    (work.folder / "maps").mkdir()
    (work.folder / "x.npz").rename(work.folder / "maps" / "000000.npz")
    with pytest.raises(FormatError, match="cannot be read"):
        work.read("maps", 0)


def test_a_damaged_state_is_an_error_and_not_a_new_beginning(work):
    work.start(STATE)
    (work.folder / STATE_FILE).write_text("{")
    with pytest.raises(FormatError, match=r"state\.json"):
        work.start(STATE)


def test_nothing_is_left_after_removal(work):
    work.start(STATE)
    work.remove()
    assert not work.folder.exists()
