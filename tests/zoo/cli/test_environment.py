"""Environment variables: a misspelled one is refused, not ignored."""

import re

import pytest

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.environment import VARIABLES, check_environment


@pytest.mark.parametrize(
    ("name", "hint"),
    [("SAMZOO_CACHE_DIR", "did you mean SAMZOO_CACHE?"), ("SAMZOO_X", "unset it")],
)
def test_an_unknown_variable_is_refused_by_name(run_here, monkeypatch, name, hint):
    monkeypatch.setenv(name, "x")
    status, out, errors = run_here("list")
    assert (status, out, errors.count("\n")) == (2, "", 1)
    assert f"environment variable {name}: samzoo has none of that name" in errors
    assert hint in errors


def test_known_variables_and_those_of_others_are_left_alone():
    check_environment({**dict.fromkeys(VARIABLES, "x"), "HF_TOKEN": "t", "SAM_ZOO": "1"})
    with pytest.raises(InputError, match="SAMZOO_INDEXES"):
        check_environment({"SAMZOO_INDEXES": "x"})


def test_the_table_lists_the_variables_that_the_code_reads(repository):
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for part in ("zoo", "runtime", "training")
        for path in (repository / part).rglob("*.py")
        if path.name != "environment.py"
    )
    assert sorted(set(re.findall(r'"(SAMZOO_[A-Z_]+)"', code))) == sorted(VARIABLES)
