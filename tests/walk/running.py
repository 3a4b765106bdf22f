"""Runs command lines in a folder that is the same before each, and compares their answers."""

import contextlib
import functools
import hashlib
import io
import json
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samzoo.zoo.cli import main

from .ways import Changes, Chooses, Enables, Refused


@dataclass(frozen=True)
class Answer:
    """What a command line did: exit code, stdout, stderr, files, and what networks computed."""

    status: int
    out: str
    errors: str
    files: dict[str, str]
    computed: tuple[str, ...]

    def shown(self, echoes=()):
        """All of it that a user or a later step can see, without what only repeats the words."""
        return without(self.out, echoes), self.files, self.computed


class Walker:
    """Runs command lines, each in the same folder as it was; remembers answers by their words."""

    def __init__(self, template, place, monkeypatch):
        self.template, self.place, self.known = template, place, {}
        self.computed: list[str] = []
        spy_on_networks(monkeypatch, self.computed)
        shutil.copytree(template, place)
        self.states = states(place)

    def run(self, *commands, way=None):
        """Run command lines one after the other; the answer is the last one's."""
        echoes, besides = (way.echoes, way.besides) if way else ((), ())
        key = (commands, echoes, besides)
        if key not in self.known:
            self.known[key] = self.run_all(*commands, echoes=echoes, besides=besides)[-1]
        return self.known[key]

    def run_all(self, *commands, echoes=(), besides=()):
        """Run command lines one after the other; returns the answers of all."""
        back, answers = Path.cwd(), []
        os.chdir(self.place)
        try:
            for command in commands:
                self.computed.clear()
                out, errors = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                    status = main(shlex.split(command))
                files = self._changed(echoes, besides)
                computed = tuple(self.computed)
                answers.append(Answer(status, out.getvalue(), errors.getvalue(), files, computed))
        finally:
            os.chdir(back)
            self._restore()
        return answers

    def _changed(self, echoes, besides):
        """A digest of each file that is new, or has other content, or is gone."""
        changed = {name: "gone" for name in self.states if not (self.place / name).exists()}
        for name, state in states(self.place).items():
            if state == self.states.get(name) or name.split("/")[-1] in besides:
                continue
            digest = _digest(self.place / name, echoes)
            before = self.template / name
            if not before.exists() or _digest(before, echoes) != digest:
                changed[name] = digest
        return changed

    def _restore(self):
        """Make the folder what it was; only what has changed is copied."""
        now = states(self.place)
        for name in now.keys() - self.states.keys():
            (self.place / name).unlink()
        for name, state in self.states.items():
            if now.get(name) != state:
                (self.place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.template / name, self.place / name)
        for folder in sorted(self.place.rglob("*"), reverse=True):
            if folder.is_dir() and not (self.template / folder.relative_to(self.place)).exists():
                folder.rmdir()
        self.states = states(self.place)


def check(walker, way, does):
    """Fail unless an option does on a way what the table says."""
    command = does.command or way.command
    added = f"{command} {does.words}"
    before = (does.before,) if does.before else ()
    with_it = walker.run(*before, added, way=way)
    if isinstance(does, Refused):
        assert with_it.status == 2, (added, with_it)
        assert does.message in with_it.errors, (added, with_it.errors)
        assert "Traceback" not in with_it.errors
        assert with_it.out == "", added
        return
    without_it = walker.run(*before, f"{command} {does.other}".strip(), way=way)
    if isinstance(does, Enables):
        assert without_it.status == 2, (command, without_it)
        assert with_it.status == 0, (added, with_it.errors)
        return
    assert isinstance(does, (Changes, Chooses))
    assert with_it.status == 0, (added, with_it.errors)
    assert without_it.status == 0 or isinstance(does, Chooses), (command, without_it.errors)
    assert with_it.shown(way.echoes) != without_it.shown(way.echoes), (
        f"{added}: the same answer as without it, so the option is accepted and not used"
    )
    if isinstance(does, Chooses):
        alone = walker.run(does.alone, way=way)
        assert alone.status == 0, alone.errors
        same = (
            with_it.computed == alone.computed if alone.computed else with_it.files == alone.files
        )
        assert same, f"{added}: another answer than {does.alone}"


def states(folder):
    """What tells a file that has changed: its time, size and place, by name; not its content."""
    return {
        path.relative_to(folder).as_posix(): (status.st_mtime_ns, status.st_size, status.st_ino)
        for path in folder.rglob("*")
        if path.is_file()
        for status in [path.stat()]
    }


def _digest(path, echoes):
    data = path.read_bytes()
    if echoes and path.suffix == ".json":
        data = without(data.decode(), echoes).encode()
    return hashlib.sha256(data).hexdigest()


def without(text, echoes):
    """A JSON text without some keys; any other text as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(_pruned(value, echoes))


def _pruned(value, echoes):
    if isinstance(value, dict):
        return {k: _pruned(v, echoes) for k, v in value.items() if k not in echoes}
    if isinstance(value, list):
        return [_pruned(item, echoes) for item in value]
    return value


def spy_on_networks(monkeypatch, computed):
    """Note how sessions of onnxruntime are made and what they are asked."""
    import onnxruntime

    class Spied(onnxruntime.InferenceSession):  # type: ignore[misc]  # it has no types
        def __init__(self, model, sess_options=None, providers=None, **others):
            threads = None if sess_options is None else sess_options.intra_op_num_threads
            computed.append(f"{threads} threads on {providers}")
            super().__init__(model, sess_options=sess_options, providers=providers, **others)

        def run(self, outputs, inputs, options=None):
            content = b"".join(name.encode() + inputs[name].tobytes() for name in sorted(inputs))
            computed.append(hashlib.sha256(content).hexdigest())
            return super().run(outputs, inputs, options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Spied)


def remember_the_parser(monkeypatch):
    """Build the parser of all verbs once: it takes longer than most verbs on toys."""
    from samzoo.zoo.cli import parser

    monkeypatch.setattr(parser, "build_parser", functools.cache(parser.build_parser))


def remember_traces(monkeypatch):
    """Trace each network with the same weights once: that takes longer than the rest of export."""
    from samzoo.zoo.graphs import tracing

    known: dict[str, bytes] = {}
    trace: Any = tracing._trace

    def remembered(role, module, example, defaults):
        digest = hashlib.sha256(f"{role} {module} {defaults}".encode())
        plain = {k: v for k, v in vars(module).items() if isinstance(v, (int, float))}
        digest.update(repr(plain).encode())
        for name, value in module.state_dict().items():
            digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
        key = digest.hexdigest()
        if key not in known:
            known[key] = trace(role, module, example, defaults)
        return known[key]

    monkeypatch.setattr(tracing, "_trace", remembered)
