"""The processes that train beside this one: one for each further device.

In: how many, and the command line. Out: processes that run the same command, and are gone when this
one is done. What they say is kept, and told if one of them fails.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from samzoo.runtime.errors import InputError

RANK = "_SAMZOO_TRAINING_RANK"
"""The environment variable by which a process knows that it is a companion."""

READY = "samzoo is ready to train"
"""What a companion writes when it waits for the others."""

MOST_TOLD = 600
"""Characters of what a failed companion said, from its end (own choice)."""

PROGRAM = (
    sys.executable, "-P", "-c", "import sys; from samzoo.zoo.cli import main; sys.exit(main())"
)  # fmt: skip


def is_companion() -> bool:
    """Tell whether this process was started by ``started_companions``."""
    return RANK in os.environ


@contextmanager
def started_companions(
    devices: int, words: Sequence[str], *, program: Sequence[str] = PROGRAM
) -> Iterator[Callable[[], None] | None]:
    """Start the other processes of a training on several devices, and end them at the end.

    This process and they get the environment variables by which torch's processes find each other.

    Args:
        devices: Number of processes in all. With 1 nothing is started.
        words: The command line without its program.
        program: What runs it.

    Yields:
        A function to call right before the processes meet: it waits until all are ready, so that
        none waits for one that failed before. None with one device.

    Raises:
        InputError: A companion failed.
    """
    if is_companion():
        yield _say_ready
        return
    if devices == 1:
        yield None
        return
    together = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "NODE_RANK": "0",
        "WORLD_SIZE": str(devices),
    }  # fmt: skip
    with ExitStack() as stack:
        started = []
        for rank in range(1, devices):
            said = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                [*program, *words],
                env={**os.environ, **together, **_ranks(rank), RANK: str(rank)},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
                start_new_session=True,  # Ctrl-C is for the first process, which ends the others
            )  # fmt: skip
            started.append((rank, process, said))
            stack.callback(_end, process)

        def wait() -> None:
            for rank, process, said in started:
                while (line := process.stdout.readline()).strip() != READY.encode():  # type: ignore[union-attr]
                    if not line:
                        process.wait()
                        raise _failure(rank, said)

        stack.enter_context(_environment({**together, **_ranks(0)}))
        try:
            yield wait
        except RuntimeError as error:  # torch's, if a connection is lost
            for rank, process, said in started:
                if process.poll():
                    raise _failure(rank, said) from error
            raise


def _say_ready() -> None:
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()


def _ranks(rank: int) -> dict[str, str]:
    return {"LOCAL_RANK": str(rank), "RANK": str(rank)}


def _failure(rank: int, said: Any) -> InputError:
    said.seek(0)
    told = said.read().decode(errors="replace").strip()[-MOST_TOLD:]
    return InputError(
        f"--devices: the process of device {rank} failed: {told or 'it said nothing'}"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
