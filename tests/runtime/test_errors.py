"""The tree of errors: each class is a built-in that callers expect, and the docstring shows it."""

import inspect
import re

import pytest

from samzoo.runtime import errors
from samzoo.runtime.errors import FormatError, InputError, StorageError, use_each

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, Exception)
}


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"SamzooError"}))
def test_every_error_is_ours_and_a_built_in(name):
    kind = CLASSES[name]
    assert issubclass(kind, errors.SamzooError)
    assert any(base.__module__ == "builtins" and base is not Exception for base in kind.__mro__[1:])


def test_the_docstring_shows_the_tree_as_it_is():
    shown = {
        name: len(indent)
        for indent, name in re.findall(
            r"^( +(?:[|` ]- |\|  [|`]- )?)(\w+Error)", errors.__doc__, re.M
        )
    }
    assert set(shown) == set(CLASSES)
    for name, kind in CLASSES.items():
        if name != "SamzooError":
            parent = next(base for base in kind.__mro__[1:] if base.__name__ in CLASSES)
            assert shown[name] > shown[parent.__name__]


@pytest.mark.parametrize("value", ["a\nb", "\x1b[31mred", "é", 3, ["x" * 500]])
def test_a_shown_value_is_one_short_line_of_ascii_without_control_characters(value):
    text = errors.shown(value, limit=40)
    assert len(text) <= 40
    assert text.isascii()
    assert text.isprintable()


def test_a_guess_ignores_case_and_prefers_letters_that_changed_places():
    assert errors.did_you_mean("Lora", ["lora", "qlora"]) == "; did you mean 'lora'?"
    assert errors.did_you_mean("--modle", ["--mode", "--model"]) == "; did you mean '--model'?"
    assert errors.did_you_mean("banana", ["lora", "fact"]) == ""
    assert errors.did_you_mean("x", []) == ""


def test_all_bad_items_are_told_in_one_error():
    def half(number):
        if number % 2:
            raise FormatError(f"{number}: is odd")
        return number // 2

    assert use_each("numbers", [2, 4], half) == [1, 2]
    with pytest.raises(FormatError, match=r"^3: is odd$"):
        use_each("numbers", [2, 3], half)
    with pytest.raises(InputError, match=r"^2 numbers cannot be used:\n  1: is odd\n  3: is odd$"):
        use_each("numbers", [1, 2, 3], half)


def test_a_failed_disk_is_told_at_once():
    def read(path):
        raise StorageError(f"{path}: no disk")

    with pytest.raises(StorageError, match=r"^a: no disk$"):
        use_each("files", ["a", "b"], read)
