"""A corpus of hostile files: each is read, or refused by one error of ours that names the file.

The default run takes a sample; ``-m slow`` takes all. Nothing in them may run, write elsewhere,
hang (10 s) or end the process.
"""

import signal

import pytest
from hostile.corpus import damaged, lying
from hostile.kinds import KINDS

from samzoo.runtime.errors import SamzooError

EACH = 12
"""Every how many-th file the default run reads."""


def corpus():
    """Yield name, bytes and reader of each hostile file."""
    for number, (name, (good, read, is_json)) in enumerate(KINDS.items()):
        data = good()
        for label, changed in damaged(data, number):
            yield name, label, changed, read
        if is_json:
            for label, changed in lying(data, number):
                yield name, label, changed, read


def judge(files, folder):
    """Read each file; returns the messages of refusals, and the number of files."""
    told, count = [], 0
    for name, label, data, read in files:
        path = folder / name
        path.write_bytes(data)
        count += 1
        if hasattr(signal, "alarm"):
            signal.alarm(10)  # ends the process: a hang is no result
        try:
            read(path)
        except SamzooError as error:
            told.append((name, label, str(error)))
        except Exception as error:
            raise AssertionError(f"{name}: {label}: {type(error).__name__}: {error}") from error
        finally:
            if hasattr(signal, "alarm"):
                signal.alarm(0)
    return told, count


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "hostile").mkdir()
    monkeypatch.setenv("CANARY", str(tmp_path / "it-ran"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "hostile")
    yield tmp_path / "hostile"
    assert [path.name for path in tmp_path.iterdir()] == ["hostile"]  # nothing ran or wrote there


def names_the_file(name, message):
    return name in message or (name == "samzoo.json" and "hostile" in message)


def test_a_sample_of_the_corpus_is_read_or_refused_by_name(folder):
    told, count = judge((each for n, each in enumerate(corpus()) if n % EACH == 0), folder)
    assert count > 50
    assert [(n, m) for n, _, m in told if not names_the_file(n, m)] == []
    assert all("\x1b" not in message and len(message) < 2000 for _, _, message in told)


@pytest.mark.slow
def test_the_whole_corpus_is_read_or_refused_by_name(folder):
    told, count = judge(corpus(), folder)
    assert count >= 700
    assert [(n, m) for n, _, m in told if not names_the_file(n, m)] == []
