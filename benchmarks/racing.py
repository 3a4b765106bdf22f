"""Races of contenders in turn: in one process, or in one each, which measures memory too.

A contender of ``race`` is a function without arguments (use ``functools.partial``). It loads what
it needs and returns the function to time. All others wait while one runs; the order is the same in
every round.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

Contender = Callable[[], Callable[[], object]]

PAUSE = 0.3
"""Seconds before a run, in which the threads of the last run stop spinning."""


@dataclass
class Result:
    """The times and the memory of one contender.

    Attributes:
        seconds: One value for each round, without the first round, which warms up.
        load_seconds: Seconds to load.
        peak_megabytes: Largest resident memory of its process, imports included.
        loaded_megabytes: Resident memory after loading, before the first run.
        value: The last run's result, if ``keep_values`` asks for it.
    """

    seconds: list[float] = field(default_factory=list)
    load_seconds: float = 0.0
    peak_megabytes: float = 0.0
    loaded_megabytes: float = 0.0
    value: Any = None

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)


def race(
    contenders: Mapping[str, Contender], runs: int, *, keep_values: bool = False
) -> dict[str, Result]:
    """Run all contenders ``runs`` times in turn, after one run each to warm up.

    Raises:
        RuntimeError: A contender failed; the message holds its traceback.
    """
    context = multiprocessing.get_context("spawn")
    results: dict[str, Result] = {}
    workers: dict[str, tuple[Any, Connection]] = {}
    try:
        for name, contender in contenders.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(contender, theirs), daemon=True)
            process.start()
            workers[name] = process, ours
            seconds, megabytes, _ = _answer(name, ours)
            results[name] = Result(load_seconds=seconds, loaded_megabytes=megabytes)
        for index in range(runs + 1):
            for name, (_, connection) in workers.items():
                time.sleep(PAUSE)
                connection.send("value" if keep_values and index == runs else "run")
                seconds, megabytes, value = _answer(name, connection)
                results[name].peak_megabytes = megabytes
                results[name].value = value
                if index:
                    results[name].seconds.append(seconds)
    finally:
        for process, _ in workers.values():
            process.terminate()
            process.join()
    return results


def _answer(name: str, connection: Connection) -> tuple[float, float, Any]:
    try:
        answer = connection.recv()
    except EOFError as error:
        raise RuntimeError(f"{name} ended; was there enough memory?") from error
    if isinstance(answer, str):
        raise RuntimeError(f"{name} failed:\n{answer}")
    seconds, megabytes, value = answer
    return float(seconds), float(megabytes), value


def _work(contender: Contender, connection: Connection) -> None:
    import traceback

    try:
        start = time.perf_counter()
        task = contender()
        connection.send((time.perf_counter() - start, _memory("VmRSS"), None))
        while True:
            wanted = connection.recv()
            start = time.perf_counter()
            value = task()
            seconds = time.perf_counter() - start
            connection.send((seconds, _memory("VmHWM"), value if wanted == "value" else None))
    except EOFError:
        pass
    except BaseException:
        connection.send(traceback.format_exc())


def _memory(key: str) -> float:
    """Return a line of ``/proc/self/status`` in megabytes; NaN if there is none."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))
    except (OSError, StopIteration):
        return float("nan")


def alternate(tasks: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Run tasks in turn, once to warm up, then ``runs`` times; return seconds by name."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for index in range(runs + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if index:
                times[name].append(time.perf_counter() - start)
    return times


def table(results: Mapping[str, Result], *, against: str) -> str:
    """Return a Markdown table: seconds with spread, ratio to one contender, and memory."""
    peer = results[against]
    lines = [
        f"| contender | seconds, median (range) | ratio to {against} | peak memory, MB | load, s |",
        "|---|---|---|---|---|",
    ]
    for name, result in results.items():
        ratios = [a / b for a, b in zip(result.seconds, peer.seconds, strict=True)]
        lines.append(
            f"| {name} | {result.median:.3f} ({min(result.seconds):.3f} to "
            f"{max(result.seconds):.3f}) | {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
            f"{max(ratios):.2f}) | {result.peak_megabytes:.0f} | {result.load_seconds:.2f} |"
        )
    return "\n".join(lines)
