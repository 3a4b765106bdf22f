"""Stops every verb that writes at every file operation, and counts what is bad afterwards.

``PYTHONPATH=tests python -m faults.every_point`` prints a table; ``--each 10`` takes every tenth
operation, ``--only merge train`` some verbs. It starts itself again under the shim. For each
operation the process is killed in it, and it fails with ENOSPC, EIO and EROFS. Afterwards

- each output must be the old one or the new one (or, where outputs grow file by file, readable),
- the error must be told: exit code 3, or the work was done all the same,
- the same command must then succeed, with the result of an undisturbed run, and leave nothing.
"""

import argparse
import errno
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from faults.injector import KILL, built_shim, run
from faults.scenarios import SCENARIOS, write_folder

FAULTS = {"KILL": KILL, "ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS}
CHANGING = ("seconds", "created", "date", "base_path", "written", "first_seconds")
"""Keys of JSON that differ from run to run."""
LEFTOVERS = (".part", ".old", ".partial", ".tmp")


class Bench:
    """A folder that is the same before each command."""

    def __init__(self, place, scenarios):
        self.template, self.work = place / "template", place / "w"
        self.inputs = place / "inputs"
        publishing = any(each.name == "publish" for each in scenarios)
        child = os.fork()  # a library's threads must not be here when commands are forked
        if child == 0:
            try:
                write_folder(self.inputs, self.work, publishing=publishing)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        warm({need for each in scenarios for need in each.needs})
        os.environ["SAMZOO_CACHE"] = str(self.work / "cache")
        os.environ["SAMZOO_INDEX"] = str(self.work / "zoo.json")

    def prepare(self, scenario):
        """Make what is there before a scenario's command; returns the old and new outputs."""
        _copy(self.inputs, self.work)
        for command in scenario.before:
            ending = run(command, self.work)
            assert ending.status == 0, ending
        shutil.rmtree(self.template, ignore_errors=True)
        os.replace(self.work, self.template)
        self.reset()
        old = self.states(scenario)
        ending = run(scenario.command, self.work)
        assert ending.status == 0, ending
        new, operations = self.states(scenario), ending.operations
        self.reset()
        assert run(scenario.command, self.work).status == 0
        assert self.states(scenario) == new, f"{scenario.name}: not the same twice"
        return old, new, operations

    def reset(self):
        _copy(self.template, self.work)

    def states(self, scenario):
        return {name: digest(self.work / name) for name in scenario.outputs}

    def try_point(self, scenario, at, fault, old, new):
        """Stop a command at an operation; returns what is bad afterwards, or nothing."""
        self.reset()
        ending = run(scenario.command, self.work, at=at, fault=FAULTS[fault])
        found = self.states(scenario)
        problems = []
        if fault == "KILL":
            if ending.status != -9:
                problems.append(f"was not killed: {ending.status}")
        elif ending.status == 0 and found != new:
            problems.append("swallowed")
        elif ending.status not in (0, 3):
            problems.append(f"exit {ending.status}: {ending.said[-300:]}")
        for name, state in found.items():
            if name not in scenario.inside and state not in (old[name], new[name]):
                problems.append(f"bad state of {name}")
        said = ""
        for command in scenario.again or (scenario.command,):
            after = run(command, self.work)
            said += after.said[-300:]
            if after.status == 0:
                break
        else:
            return [*problems, f"does not go on: {said}"]
        for name, state in self.states(scenario).items():
            if state != new[name]:
                problems.append(f"{name} is another after going on")
        problems += [f"left {path.name}" for path in self.work.rglob("*") if _left(path)]
        return problems


def _left(path):
    return path.name.startswith(".") and any(part in path.name for part in LEFTOVERS)


def _copy(source, target):
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, copy_function=_linked)


def _linked(source, target):
    """Give a file to a folder; weights, which are large, and which commands replace, as a link."""
    (os.link if source.endswith(".safetensors") else shutil.copy2)(source, target)


def digest(path):
    """A digest of a file or folder; temporary files do not count, nor do times in JSON."""
    if path.is_dir():
        content = {
            each.relative_to(path).as_posix(): digest(each)
            for each in sorted(path.rglob("*"))
            if each.is_file() and not each.name.startswith(".")
        }
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()
    if not path.exists():
        return None
    data = path.read_bytes()
    if path.suffix == ".json":
        try:
            data = json.dumps(_without_times(json.loads(data))).encode()
        except ValueError:
            pass
    return hashlib.sha256(data).hexdigest()


def _without_times(value):
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in CHANGING}
    return [_without_times(each) for each in value] if isinstance(value, list) else value


def points(operations, fault, *, each=1, start=0):
    """Which operations a fault is tried at.

    Deletions need no room, so no full disk stops them. Of many writes to one file in a row the
    first, the middle and the last are tried.
    """
    found, first = [], 0
    while first < len(operations):
        last = first
        while last + 1 < len(operations) and operations[last + 1] == operations[first]:
            last += 1
        if not (fault == "ENOSPC" and operations[first][0] == "unlink"):
            found += sorted({first + 1, (first + last) // 2 + 1, last + 1})
        first = last + 1
    return found[start % each :: each]


def measure(bench, scenario, *, each=1, start=0, report=None):
    """Try a scenario's operations; returns the numbers of tries and the problems by fault."""
    old, new, operations = bench.prepare(scenario)
    tries: Counter[str] = Counter()
    bad = {}
    for number, fault in enumerate(FAULTS):
        for at in points(operations, fault, each=each, start=start + number):
            tries[fault] += 1
            problems = bench.try_point(scenario, at, fault, old, new)
            if problems:
                bad[fault, at, *operations[at - 1]] = problems
                if report:
                    report(f"{scenario.name}: {fault} at {at} {operations[at - 1]}: {problems}")
    return len(operations), tries, bad


def warm(needs):
    """Import once what forks would import each time."""
    trained = ("samzoo.training.fit.run",) if "lightning_fabric" in needs else ()
    traced = ("samzoo.zoo.graphs.tracing",) if "onnx" in needs else ()
    for name in ("onnxruntime", "tifffile", *needs, *trained, *traced):
        importlib.import_module(name)


def start_under_shim(arguments):
    """Start this module again under the shim; returns its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        library, reason = built_shim(folder)
        if library is None:
            sys.stderr.write(f"skipped: {reason}\n")
            return 0
        environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "faults.every_point", "--under-shim", *arguments]
        return subprocess.run(command, env=environment).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=1, help="take every N-th operation")
    parser.add_argument("--start", type=int, default=0, help="from which of these")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in SCENARIOS])
    parser.add_argument("--under-shim", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.under_shim:
        return start_under_shim(sys.argv[1:])
    del os.environ["LD_PRELOAD"]  # the processes that commands start run without it
    chosen = [each for each in SCENARIOS if not each.missing]
    chosen = [each for each in chosen if not options.only or each.name in options.only]
    out = sys.stdout
    out.write("| verb | operations | " + " | ".join(FAULTS) + " | bad |\n")
    out.write("|---|---|" + "---|" * len(FAULTS) + "---|\n")
    total = 0
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a disk's fsync takes long
    with tempfile.TemporaryDirectory(dir=memory) as place:
        bench = Bench(Path(place), chosen)
        for scenario in chosen:
            count, tries, bad = measure(
                bench, scenario, each=options.each, start=options.start,
                report=lambda line: sys.stderr.write(f"{line}\n"),
            )  # fmt: skip
            tried = " | ".join(str(tries[fault]) for fault in FAULTS)
            out.write(f"| {scenario.name} | {count} | {tried} | {len(bad)} |\n")
            out.flush()
            total += len(bad)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
