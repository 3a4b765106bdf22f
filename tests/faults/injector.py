"""Stops commands of samzoo at a chosen file operation, in forks of one process.

In: command lines. Out: how each ended, and the file operations that it made. The process must run
under the shim (``LD_PRELOAD``), which ``built_shim`` compiles; ``every_point`` starts it so.
"""

import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SHIM = Path(__file__).with_name("shim.c")
KILL = -1
SECONDS = 120
"""After which a command counts as hanging."""


def built_shim(folder):
    """Compile the shim; returns its path, or None and the reason."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if os.uname().sysname != "Linux" or compiler is None:
        return None, "needs Linux and a C compiler (cc)"
    library = Path(folder) / "shim.so"
    built = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM), "-ldl"],
        capture_output=True, text=True,
    )  # fmt: skip
    if built.returncode:
        return None, f"the compiler cannot build the shim: {built.stderr[:200]}"
    return library, ""


@dataclass(frozen=True)
class Ending:
    """How a command ended: its exit code, or minus the signal's number; and what it said."""

    status: int
    said: str
    operations: tuple[tuple[str, str], ...]


def run(words, folder, *, at=0, fault=0):
    """Run a command line in a fork, which the shim stops at its operation ``at``.

    Args:
        words: The command line, without ``samzoo``.
        folder: The folder to run in; operations inside it count.
        at: Number of the operation, from 1; 0 only lists them.
        fault: ``KILL``, or an errno.
    """
    log, said = folder.with_name("operations.log"), folder.with_name("said.txt")
    log.write_bytes(b"")
    child = os.fork()
    if child == 0:
        _in_child(words, folder, at, fault, log, said)
    _, status = os.waitpid(child, 0)
    lines = (line.split(" ", 2)[1:] for line in log.read_text(errors="replace").splitlines())
    return Ending(
        os.waitstatus_to_exitcode(status),
        said.read_text(errors="replace"),
        tuple((operation, path) for operation, path in lines),
    )


def _in_child(words, folder, at, fault, log, said):
    code = 99
    try:
        signal.alarm(SECONDS)
        os.chdir(folder)
        output = os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        from samzoo.runtime.formats import outputs
        from samzoo.zoo.cli import main

        outputs._clean.cache_clear()  # a command is a new process
        descriptor = os.open(log, os.O_APPEND | os.O_WRONLY)
        arm = ctypes.CDLL(None).faults_arm
        arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
        arm(os.fsencode(folder), at, fault, descriptor)
        code = main(shlex.split(words))
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    except BaseException as error:
        os.write(2, f"not handled: {error!r}\n".encode())
    finally:
        os._exit(code)
