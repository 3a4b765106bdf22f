"""Records of changes: whole, bounded, and found by their digests."""

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError
from samzoo.zoo.annotation import history as module
from samzoo.zoo.annotation.history import Change, History, labels_digest


def grown(number, side=8):
    labels = np.zeros((side, side), np.int32)
    labels.flat[:number] = np.arange(1, number + 1)
    return labels


def change(number):
    found = Change.between("add", grown(number - 1), grown(number))
    assert found is not None
    return found


def test_a_change_is_written_read_applied_and_undone(tmp_path):
    history = History(tmp_path / "h")
    history.write(1, change(3))
    read = history.read(1)
    assert (read.kind, read.window) == ("add", (0, 2, 1, 3))
    np.testing.assert_array_equal(read.applied(grown(2)), grown(3))
    np.testing.assert_array_equal(read.applied(grown(3), undo=True), grown(2))
    assert Change.between("add", grown(2), grown(2)) is None


def test_the_reach_ends_where_digests_do_not_meet(tmp_path):
    history = History(tmp_path)
    for number in range(1, 6):
        history.write(number, change(number))
    assert history.reach(3, labels_digest(grown(3))) == (0, 5)
    history.write(5, change(7))  # does not begin where 4 ends
    assert history.reach(3, labels_digest(grown(3))) == (0, 4)
    (tmp_path / "000002.npz").write_bytes(b"damaged")
    assert history.reach(3, labels_digest(grown(3))) == (2, 4)
    assert history.reach(3, labels_digest(grown(1))) == (3, 3)


def test_old_records_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_CHANGES", 2)
    history = History(tmp_path)
    for number in range(1, 5):
        history.write(number, change(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000003.npz", "000004.npz"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / "000001.npz").write_bytes(content)
    with pytest.raises(FormatError, match=r"000001.npz: is damaged"):
        History(tmp_path).read(1)
    with pytest.raises(FormatError, match=r"000002.npz: is missing"):
        History(tmp_path).read(2)


def test_a_record_with_pickled_objects_is_not_run(tmp_path):
    np.savez(tmp_path / "000001.npz", about=np.array([{"a": 1}], object))
    with pytest.raises(FormatError, match="is damaged"):
        History(tmp_path).read(1)
