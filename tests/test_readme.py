"""CI runs what the README tells people to run."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "pip install -e '.[dev]' --config-settings editable_mode=strict",
    "python -m pytest",
)


def commands_in(path):
    """The commands of a file, each without the ``&&`` that may join it to others."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return [command.strip() for line in lines for command in line.split("&&")]


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", ".ci/run"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_documented_commands_are_those_that_ci_runs(path, command):
    assert command in commands_in(path)
