"""Runs command lines in a folder that is the same before each, and compares their answers."""

import contextlib
import hashlib
import io
import json
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from samzoo.zoo.cli import main

from .ways import Changes, Enables, Refused


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
    """Runs command lines, each in a fresh copy of a folder; remembers answers by their words."""

    def __init__(self, template, place, monkeypatch):
        self.template, self.place, self.known = template, place, {}
        self.computed: list[str] = []
        spy_on_networks(monkeypatch, self.computed)
        self.before = digests(template, ())

    def run(self, *commands, echoes=()):
        """Run command lines one after the other; the answer is the last one's."""
        key = (commands, echoes)
        if key not in self.known:
            self.known[key] = self._run(commands, echoes)
        return self.known[key]

    def _run(self, commands, echoes):
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.template, self.place)
        back = Path.cwd()
        os.chdir(self.place)
        try:
            for command in commands:
                self.computed.clear()
                out, errors = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                    status = main(shlex.split(command))
        finally:
            os.chdir(back)
        after = digests(self.place, echoes)
        files = {name: value for name, value in after.items() if self.before.get(name) != value}
        return Answer(status, out.getvalue(), errors.getvalue(), files, tuple(self.computed))


def check(walker, way, does):
    """Fail unless an option does on a way what the table says."""
    command = does.command or way.command
    added = f"{command} {does.words}"
    with_it = walker.run(added, echoes=way.echoes)
    if isinstance(does, Refused):
        assert with_it.status == 2, (added, with_it)
        assert does.message in with_it.errors, (added, with_it.errors)
        assert "Traceback" not in with_it.errors
        assert with_it.out == "", added
        return
    without_it = walker.run(f"{command} {does.other}".strip(), echoes=way.echoes)
    if isinstance(does, Enables):
        assert without_it.status == 2, (command, without_it)
        assert with_it.status == 0, (added, with_it.errors)
        return
    assert isinstance(does, Changes)
    assert (without_it.status, with_it.status) == (0, 0), (without_it.errors, with_it.errors)
    assert with_it.shown(way.echoes) != without_it.shown(way.echoes), (
        f"{added}: the same answer as without it, so the option is accepted and not used"
    )


def digests(folder, echoes):
    """A digest of each file; of JSON files without their echoes."""
    return {
        path.relative_to(folder).as_posix(): _digest(path, echoes)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
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
