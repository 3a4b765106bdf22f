"""Words that lead into a wall: each command that a message, a card or a page names is a command."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from samzoo.zoo.cli.parser import NESTED, VERBS, parse

ROOT = Path(__file__).resolve().parents[1]

ARGUMENT = re.compile(r"-.*|[A-Z][\w-]*\.*|\d[\d.]*|.*[./:=|_-].*|'.*'")
"""A word of a command, not of the sentence around it: an option, a placeholder, a number, a path or
a name. A word after an option is one in any case."""

SHELL = re.compile(r"```(?:sh|bash)\n(.*?)```", re.DOTALL)


def messages():
    """Each string of the code that is no docstring, with ``1`` for what is put in."""
    for part in ("runtime", "training", "zoo"):
        for path in sorted((ROOT / part).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            skipped = {
                id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
            }  # docstrings, of attributes too
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    skipped |= set(map(id, node.values))
            for node in ast.walk(tree):
                if id(node) in skipped:
                    continue
                if isinstance(node, ast.JoinedStr):
                    parts = [v.value if isinstance(v, ast.Constant) else "1" for v in node.values]
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", "".join(map(str, parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def commands_in(text):
    """The words of each ``samzoo VERB ...`` in a sentence."""
    for found in re.finditer(r"\bsamzoo ([a-z]\w*)((?: [^\s,;)`<>\"]+)*)", text):
        words = [found[1]]
        rest = found[2].split()
        if found[1] in NESTED and rest:
            words.append(rest.pop(0))
        if words[0] not in VERBS and words[0] not in NESTED:
            continue  # a sentence about samzoo
        for word in rest:
            if not ARGUMENT.fullmatch(word) and not words[-1].startswith("-"):
                break
            words.append(word.rstrip("."))
        yield words


def in_messages():
    found: dict[str, tuple[str, list[str]]] = {}
    for place, text in messages():
        for words in commands_in(text):
            found.setdefault(shlex.join(words), (place, words))
    return [pytest.param(*found[key], id=key) for key in sorted(found)]


def in_pages():
    found: dict[str, tuple[str, list[str]]] = {}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in SHELL.findall(path.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                for command in re.split(r"&&|\|(?!\|)|;| >", line.partition(" #")[0]):
                    if command.strip().startswith("samzoo "):
                        words = shlex.split(command.strip())[1:]
                        found.setdefault(shlex.join(words), (path.name, words))
    return [pytest.param(*found[key], id=key) for key in sorted(found)]


def exit_code(words):
    try:
        parse(words)
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.mark.parametrize(("place", "words"), [*in_messages(), *in_pages()])
def test_a_quoted_command_is_one_that_samzoo_takes(place, words, capsys):
    """A command that is quoted without arguments must at least name a verb."""
    given = [word for word in words if word not in ("...", "[...]")]
    if " ".join(given) in (*VERBS, *NESTED):
        return
    assert exit_code(given) == 0, f"{place}: {capsys.readouterr().err}"


def test_messages_and_pages_quote_commands():
    """The search finds them: a few that must be among them."""
    found = {case.id for case in (*in_messages(), *in_pages())}
    assert "adapter read 1 --base BASE -o ADAPTER" in found
    assert "segment examples/nuclei.tif -o labels.tif --overlay overlay.png" in found
    assert len(found) > 40


def test_no_message_installs_samzoo_from_an_index():
    """It is not on PyPI; ``samzoo.runtime.dependencies`` knows how it was installed."""
    found = [
        place
        for place, text in messages()
        if re.search(r"pip install '?samzoo", text) and "dependencies.py" not in place
    ]
    assert found == []
