"""A command of samzoo in a process of its own, whose memory is free when it ends.

In: the words of a command. Out: how it ended, and the most memory that it held.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import StorageError

PROGRAM = (
    sys.executable, "-P", "-c", "import sys; from samzoo.zoo.cli import main; sys.exit(main())"
)  # fmt: skip

MOST_TOLD = 600
"""Characters of what a failed process said, from its end (own choice)."""


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Attributes:
        code: Its exit code.
        peak_bytes: The most memory that it held, or if that is more, what this process held when it
            was started, which Linux counts too; 0 where the system does not say.
        told: The end of what it said.
    """

    code: int
    peak_bytes: int
    told: str


def run_command(words: Sequence[str], log: Path, *, program: Sequence[str] = PROGRAM) -> Ended:
    """Run a command, and add what it says to a log.

    Ctrl-C goes to the process, which may save what it has; a second one kills it.

    Args:
        words: The command without its program.
        log: The file that gets its stderr; its stdout is dropped.
        program: What runs it.

    Returns:
        How it ended.

    Raises:
        StorageError: The log cannot be written.
        KeyboardInterrupt: Ctrl-C; the process is gone.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("ab")
    except OSError as error:
        raise StorageError(f"{log}: cannot be written ({error.strerror or error})") from error
    with file:
        start = file.tell()
        process = subprocess.Popen(
            [*program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file,
            start_new_session=True,  # so that Ctrl-C reaches it once, from here
        )  # fmt: skip
        try:
            peak = _wait(process)
        except KeyboardInterrupt:
            try:
                process.send_signal(signal.SIGINT)
                _wait(process)
            except KeyboardInterrupt:
                pass
            raise
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
    with log.open("rb") as written:
        written.seek(start)
        told = written.read().decode(errors="replace").strip()
    return Ended(process.returncode, peak, told[-MOST_TOLD:])


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process; returns its peak memory in bytes."""
    if sys.platform == "win32":
        process.wait()
        return 0
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # Kilobytes, but on macOS.
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
