"""Embedding in the background: progress, a stop, and errors that the page shows."""

from typing import Any

import pytest

from samzoo.runtime.errors import SamzooError
from samzoo.zoo.annotation_page.preparation import Preparation


class Session:
    """Stands in for a session: embeds three tiles, or fails."""

    def __init__(self, error=None, at_two=lambda: None):
        self.error, self.at_two, self.done = error, at_two, []

    def prepare(self, diameter, *, progress):
        for number in range(3):
            if number == 2:
                self.at_two()
            progress("embed", number, 3)
            self.done.append(number)
        if self.error is not None:
            raise self.error


def prepared(session: Any) -> Preparation:
    return Preparation(session)


def finish(preparation):
    preparation.start()
    preparation._thread.join()
    return preparation


def test_all_tiles_are_embedded():
    session = Session()
    assert finish(prepared(session)).error == ""
    assert session.done == [0, 1, 2]


def test_a_stop_ends_the_work_at_the_next_tile():
    session = Session()
    preparation = prepared(session)
    session.at_two = preparation.stop
    assert finish(preparation).error == "stopped; what was embedded is kept"
    assert session.done == [0, 1]
    assert preparation.progress is None
    session.at_two = lambda: None
    assert finish(preparation).error == ""


@pytest.mark.parametrize(
    ("error", "told"),
    [(SamzooError("the model is gone"), "the model is gone"),
     (RuntimeError("x"), "internal error (RuntimeError: x)")],
)  # fmt: skip
def test_errors_are_told(error, told):
    assert finish(prepared(Session(error))).error == told
