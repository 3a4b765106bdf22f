"""The executors: each piece once, in this process and as a worker does it."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.errors import InputError
from samzoo.runtime.pieces import steps
from samzoo.runtime.pieces.context import NO_PACKAGE, Job, worker_context
from samzoo.runtime.pixels.source_spec import identity
from samzoo.runtime.windows.limits import Limits


@pytest.fixture
def job(tmp_path, make_request, cells):
    request = make_request(cells((60, 60)))
    spec = request.source
    return Job(
        spec, identity(spec.path), Limits(0.0, 60000.0, constant=False), request.worker_model,
        request.model.config.ais, str(tmp_path / "work"),
    )  # fmt: skip


def test_this_process_does_each_piece_and_tells_of_each(monkeypatch, job):
    context = worker_context(job)
    done, told = [], []
    monkeypatch.setitem(steps.STEPS, "maps", lambda context, index: done.append((context, index)))
    steps.ThisProcess().run(context, "maps", [4, 2], lambda: told.append(len(done)))
    assert done == [(context, 4), (context, 2)]
    assert told == [1, 2]


def test_a_worker_opens_the_job_once_and_makes_what_this_process_makes(job):
    worker_context.cache_clear()
    assert steps.do_piece(job, "maps", 0) == 0
    context = worker_context(job)
    assert worker_context.cache_info().hits
    found = context.work.read("maps", 0)["maps"]
    steps.ThisProcess().run(context, "maps", [0], lambda: None)
    np.testing.assert_array_equal(context.work.read("maps", 0)["maps"], found)
    assert found.shape == (3, 60, 60)
    assert found.std() > 0


def test_a_worker_leaves_a_finished_piece_alone(job, monkeypatch):
    worker_context.cache_clear()
    steps.do_piece(job, "maps", 0)
    monkeypatch.setitem(steps.STEPS, "maps", lambda *_: pytest.fail("was done again"))
    assert steps.do_piece(job, "maps", 0) == 0


def test_a_worker_needs_a_model_that_it_can_open(job):
    job = dataclasses.replace(job, model=None)
    with pytest.raises(InputError, match="opened from a package folder") as found:
        worker_context(job)
    assert str(found.value) == NO_PACKAGE
