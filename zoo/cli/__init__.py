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

from samzoo.runtime.errors import InputError, MissingDependencyError, NotFoundError

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
        with _termination_interrupts():
            result = call.verb.run(call.options)
    except KeyboardInterrupt as stop:
        hint = f"; {stop}" if str(stop) else ""
        print(f"samzoo: interrupted{hint}", file=sys.stderr)
        return 130
    except Exception as error:
        if call.debug:
            traceback.print_exc()
        return _report(error)
    return _print_result(result, as_json=call.json)


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Treat termination, as of a batch job, as an interrupt, so that training saves its state."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _print_result(result: Result, *, as_json: bool) -> int:
    """A verb returns a dict with its result; ``text`` is what a person sees.

    ``notes``, where there are any, are lines about the result: on stderr. ``exit`` is the exit
    code, if some of it failed.
    """
    for note in result.get("notes", ()):
        print(f"samzoo: {note}", file=sys.stderr)
    shown = {key: value for key, value in result.items() if key not in ("text", "exit")}
    try:
        if as_json or result["text"]:
            print(json.dumps(shown) if as_json else result["text"], flush=True)
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
        print(f"samzoo: {error}", file=sys.stderr)
        return 2
    if isinstance(error, OSError):
        print(f"samzoo: {error}", file=sys.stderr)
        return 3
    if faults := _installation_faults(error):
        print(*(f"samzoo: {fault}" for fault in faults), sep="\n", file=sys.stderr)
        return 2
    print(
        f"samzoo: internal error ({type(error).__name__}: {error}); "
        "please report it with the output of the same command with --debug",
        file=sys.stderr,
    )
    return 1


def _installation_faults(error: Exception) -> list[str]:
    """Say what of the installation may have caused an error that samzoo did not expect."""
    from samzoo.zoo.reports.requirements import core_faults, import_fault

    fault = import_fault(error) if isinstance(error, ImportError) else None
    return [fault] if fault is not None else core_faults()
