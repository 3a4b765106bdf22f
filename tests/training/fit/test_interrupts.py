"""SIGINT and SIGTERM wait for the end of a block."""

import os
import signal
import threading

import pytest

from samzoo.training.fit.interrupts import interrupts_held_back

pytestmark = pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process on Windows")


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_comes_when_the_block_is_done():
    handler, done = signal.getsignal(signal.SIGINT), []

    def block():
        with interrupts_held_back():
            interrupt()
            interrupt()
            done.append("block")
        done.append("after")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["block"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_without_an_interrupt_nothing_happens_and_the_handler_is_back():
    handler = signal.getsignal(signal.SIGINT)
    with interrupts_held_back():
        assert signal.getsignal(signal.SIGINT) is not handler
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_end_of_a_batch_jobs_time_waits_too():
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    done = []

    def block():
        with interrupts_held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("block")

    try:
        with pytest.raises(KeyboardInterrupt):
            block()
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert done == ["block"]


def test_an_error_of_the_block_comes_through():
    handler = signal.getsignal(signal.SIGINT)

    def block():
        with interrupts_held_back():
            interrupt()
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        block()
    assert signal.getsignal(signal.SIGINT) is handler


def test_where_interrupts_are_ignored_they_stay_ignored(monkeypatch):
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_held_back():
            interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)


def test_other_threads_are_left_alone():
    done = []

    def block():
        with interrupts_held_back():
            done.append("block")

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert done == ["block"]
