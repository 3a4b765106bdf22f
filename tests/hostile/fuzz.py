"""Fuzzes every reader of strangers' files, for as long as one likes.

``PYTHONPATH=tests python -m hostile.fuzz --seconds 600 --seed 1`` mutates the corpus of
``corpus.py`` at random, each kind of file in a process of its own. ``--atheris KIND`` lets atheris
(``pip install atheris``) follow the code's branches instead, until it is stopped. A file may be
read, or refused by an error of ours; anything else is a finding: the file stays in ``--findings``.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from hostile.corpus import damaged, lying
from hostile.kinds import KINDS

from samzoo.runtime.errors import SamzooError

SECONDS = 10
"""After which a reader counts as hanging."""

EDGES = [
    b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f",
    b"\xff" * 8, b"-1", b"1e999", b"null", b"NaN", b"[[[[", b"{}", b'"', b"\\u0000", b"../",
]  # fmt: skip
"""What parsers trip over."""


def seeds(kind):
    """The corpus of a kind: a good file, and the damaged and lying ones made from it."""
    make, _, is_json = KINDS[kind]
    good = make()
    found = [good, *(data for _, data in damaged(good, 0))]
    if is_json:
        found += [data for _, data in lying(good, 0)]
    return [data for data in found if len(data) <= 200_000]


def mutated(data, rng):
    """Change some bytes: other values, parts lost, repeated and moved, and what parsers dislike."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(changed) + 1)
        end = min(len(changed), at + rng.choice((1, 1, 4, 16, 64)))
        how = rng.randrange(5)
        if how == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            changed[at:end] = rng.choice(EDGES)
        elif how == 2:
            del changed[at:end]
        elif how == 3:
            changed[at:at] = changed[at:end]
        else:
            other = rng.randrange(len(changed) + 1)
            changed[at:end] = changed[other : other + end - at]
    return bytes(changed)


def read_one(kind, data, folder):
    """Read a file; returns what was not expected, or None. A hang or crash ends the process."""
    path = folder / kind
    path.write_bytes(data)
    signal.alarm(SECONDS)
    try:
        KINDS[kind][1](path)
    except SamzooError:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    return None


def fuzz(kind, *, seed, seconds=None, executions=None, report=None):
    """Read mutated files in a new folder; returns how many, and the findings as (why, data)."""
    rng = random.Random(f"{kind} {seed}")
    stored, findings, count = seeds(kind), [], 0
    end = time.monotonic() + (seconds or 1e9)
    with tempfile.TemporaryDirectory() as place:
        while time.monotonic() < end and count != executions:
            data = mutated(rng.choice(stored), rng)
            if report is not None:
                report(count, data)
            problem = read_one(kind, data, Path(place))
            count += 1
            if problem is not None:
                findings.append((problem, data))
    return count, findings


def _process(kind, seed, seconds, findings):
    """Fuzz one kind; the last file and the count lie in files, since the process may crash."""
    os.environ["CANARY"] = str(findings / "it-ran")
    last, counts = findings / f"{kind}.last", findings / f"{kind}.count"

    def report(count, data):
        last.write_bytes(data)
        if count % 100 == 0:
            counts.write_text(str(count))

    count, found = fuzz(kind, seed=seed, seconds=seconds, report=report)
    counts.write_text(str(count))
    last.unlink()
    for number, (problem, data) in enumerate(found):
        (findings / f"{kind}.{seed}.{number}").write_bytes(data)
        sys.stderr.write(f"{kind}: {problem[:300]}\n")
    sys.exit(1 if found else 0)


def run_all(kinds, seed, seconds, findings):
    """Fuzz kinds side by side; returns a row for each: executions and how it ended."""
    findings.mkdir(parents=True, exist_ok=True)
    processes = {
        kind: multiprocessing.Process(target=_process, args=(kind, seed, seconds, findings))
        for kind in kinds
    }
    for process in processes.values():
        process.start()
    rows = {}
    for kind, process in processes.items():
        process.join()
        counts = findings / f"{kind}.count"
        rows[kind] = (int(counts.read_text()) if counts.exists() else 0, process.exitcode)
    return rows


def with_atheris(kind, rest):
    """Let atheris choose the files; it ends at the first finding."""
    import atheris

    folder = Path(tempfile.mkdtemp())
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds(kind)):
        (corpus / str(number)).write_bytes(data)

    def once(data):
        problem = read_one(kind, data, folder)
        if problem is not None:
            raise AssertionError(problem)

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *rest, str(corpus)], once)
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS], default=[*KINDS])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--atheris", metavar="KIND", choices=[*KINDS])
    options, rest = parser.parse_known_args()
    if options.atheris:
        with_atheris(options.atheris, rest)
        return 0
    rows = run_all(options.kinds, options.seed, options.seconds, options.findings)
    sys.stdout.write(json.dumps({"seed": options.seed, "executions": rows}, indent=1) + "\n")
    sys.stdout.write(f"{sum(count for count, _ in rows.values())} executions\n")
    return 1 if any(code for _, code in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
