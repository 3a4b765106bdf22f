"""The command line: ``samzoo VERB``. Parses, runs the verb, prints its result, reports errors.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 2 input or usage, 3 input or
output failed, 1 our own error, 130 interrupted, 4 some of several failed. Nothing heavy is imported
until a verb runs, so ``samzoo --help`` is quick.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from samzoo.runtime.errors import InputError, MissingDependencyError, NotFoundError, printable

from .environment import check_environment
from .parser import parse
from .verb import Result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; ``sys.argv`` by default.

    Returns:
        The exit code.
    """
    try:
        call = parse(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as stop:  # argparse has printed its message
        return int(stop.code or 0)
    try:
        check_environment(os.environ)
        with _interrupts_are_answered():
            result = call.verb.run(call.options)
    except KeyboardInterrupt as stop:
        hint = f"; {stop}" if str(stop) else ""
        _tell(f"interrupted{hint}")
        return 130
    except Exception as error:
        if call.debug:
            traceback.print_exc()
        return _report(error)
    return _print_result(result, as_json=call.json)


PATIENCE = 2.0
"""Seconds after which an interrupt ends the process, although a library has not returned to Python
(own choice). What it was writing has a temporary name, which the next command deletes."""


@contextmanager
def _interrupts_are_answered() -> Iterator[None]:
    """Treat termination, as of a batch job, as an interrupt, and answer both while libraries work.

    Python runs its handlers only between its own steps. A thread that waits for the signal's number
    in a pipe hears of it at once: it stops onnxruntime, and at last the process. Training has
    handlers of its own while it takes a step, and is left to save its state.
    """
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield
        return
    answered = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        answered.set()
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, interrupt) for number in numbers}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while (number := os.read(reader, 1)) != b"":
            if number[0] not in numbers or signal.getsignal(number[0]) is not interrupt:
                continue
            if "samzoo.runtime.engine.interruption" in sys.modules:
                sys.modules["samzoo.runtime.engine.interruption"].stop_runs()
            if not answered.wait(PATIENCE) and signal.getsignal(number[0]) is interrupt:
                os.write(2, b"samzoo: interrupted\n")
                os._exit(130)
        os.close(reader)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        os.close(writer)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _print_result(result: Result, *, as_json: bool) -> int:
    """A verb returns a dict with its result; ``text`` is what a person sees.

    ``notes``, where there are any, are lines about the result: on stderr. ``exit`` is the exit
    code, if some of it failed.
    """
    for note in result.get("notes", ()):
        _tell(note)
    shown = {key: value for key, value in result.items() if key not in ("text", "exit")}
    try:
        if as_json or result["text"]:
            text = result["text"]
            if not as_json and sys.stdout.isatty():  # a pipe gets the path as it is
                text = printable(text)
            print(json.dumps(shown) if as_json else text, flush=True)
    except BrokenPipeError:
        # The reader has closed the pipe, as `| head` does, and the work is done. Python would
        # report an error when it flushes the rest at exit, so the rest is discarded.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError, ValueError):  # no real file, as under a test
            os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return int(result.get("exit", 0))


def _report(error: Exception) -> int:
    if isinstance(error, (InputError, MissingDependencyError, NotFoundError)):
        _tell(str(error))
        return 2
    if isinstance(error, OSError):
        _tell(str(error))
        return 3
    if faults := _installation_faults(error):
        for fault in faults:
            _tell(fault)
        return 2
    _tell(
        f"internal error ({type(error).__name__}: {error}); "
        "please report it with the output of the same command with --debug"
    )
    return 1


def _tell(line: str) -> None:
    """Tell a person something on stderr; names from strangers may hold control sequences."""
    print(printable(f"samzoo: {line}"), file=sys.stderr)


def _installation_faults(error: Exception) -> list[str]:
    """Say what of the installation may have caused an error that samzoo did not expect."""
    from samzoo.zoo.reports.requirements import core_faults, import_fault

    fault = import_fault(error) if isinstance(error, ImportError) else None
    return [fault] if fault is not None else core_faults()
