"""Fields that hold one of several kinds, and dataclasses that people build by hand."""

import dataclasses
import re
from typing import Literal

import pytest

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.architecture import MaskDecoderConfig
from samzoo.runtime.formats.fields import check_types, from_json, parse_json, to_json


@dataclasses.dataclass(frozen=True)
class Sample:
    """A word or a number, and a list or a word or nothing."""

    factor: Literal["learned"] | float = 1.0
    places: tuple[int, ...] | Literal["late"] | None = None

    def __post_init__(self) -> None:
        check_types(self, where="sample")
        if self.factor == 0:
            raise FormatError("sample.factor: must not be 0")


@pytest.mark.parametrize(
    "value",
    [
        {"factor": "learned", "places": [0, 1]},
        {"factor": 0.5, "places": "late"},
        {"factor": 2, "places": None},
    ],
)
def test_a_field_may_hold_one_of_several_kinds(value):
    assert to_json(from_json(Sample, value, where="a.json")) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"factor": "x"}, "factor: found 'x', allowed: 'learned', a finite number"),
        ({"factor": True}, "factor: found True, allowed: 'learned', a finite number"),
        ({"places": ["late"]}, "places: found ['late'], allowed: null, a list of int, 'late'"),
        ({"places": 3}, "places: found 3, allowed: null, a list of int, 'late'"),
    ],
)
def test_a_value_of_no_kind_names_them_all(value, message):
    with pytest.raises(FormatError, match=re.escape(f"a.json: {message}")):
        from_json(Sample, value, where="a.json")


def test_a_field_given_in_python_is_checked_as_one_of_a_file():
    with pytest.raises(FormatError, match=r"sample\.factor: found None, allowed: 'learned', a f"):
        Sample(factor=None)  # type: ignore[arg-type]


def test_a_path_with_a_colon_stays_whole_in_a_message():
    with pytest.raises(FormatError, match=re.escape(r"C:\a.json: sample.factor: must not be 0")):
        from_json(Sample, {"factor": 0}, where=r"C:\a.json")
    with pytest.raises(FormatError, match=re.escape(r"C:\a.json: factor: found None")):
        from_json(Sample, {"factor": None}, where=r"C:\a.json")


def test_a_field_that_is_written_if_set_is_left_out_at_its_default():
    assert "layer_norm_eps" not in to_json(MaskDecoderConfig())
    assert to_json(MaskDecoderConfig(layer_norm_eps=1e-6))["layer_norm_eps"] == 1e-6
    with pytest.raises(FormatError, match=r"layer_norm_eps: must lie between 0 and 1, found 0"):
        MaskDecoderConfig(layer_norm_eps=0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ('{"a": 1, "a": 2}', "the key 'a' stands in one object twice"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "Exceeds the limit"),
        ("NaN", "NaN is not a number in JSON"),
        (b"\xff\xfe\x00", "decode"),
    ],
)
def test_json_that_no_reader_should_see_is_refused(text, message):
    with pytest.raises(FormatError, match=rf"(?s)a\.json: not a JSON file \(.*{message}"):
        parse_json(text, where="a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 65 + "]" * 65, r"nested more than 64 deep"),
        ("[" * 700 + "]" * 700, r"nested more than 64 deep"),
        ('{"a":' * 700 + "1" + "}" * 700, r"'a\.a\..*nested more than 64 deep"),
        (
            '{"a": [1, {"b": 1%s}]}' % ("0" * 400),
            r"a\[1\]\.b: expected a finite number, found 10+\.",
        ),
        (f'{{"a": {2**128 + 1}}}', r"a: expected a finite number, found 340"),
        ('{"a": -1e999}', r"a: expected a finite number, found -inf"),
    ],
)
def test_values_that_no_field_has_are_refused_by_field(text, message):
    with pytest.raises(FormatError, match=rf"a\.json: .*{message}"):
        parse_json(text, where="a.json")


def test_json_within_its_budgets_is_read():
    deep = "[" * 63 + "]" * 63
    assert parse_json(f'{{"a": {2**128}, "b": -1.5, "c": {deep}}}', where="a")["a"] == 2**128


def test_a_hundred_thousand_keys_take_no_time():
    text = "{" + ", ".join(f'"{number}": 0' for number in range(100_000)) + "}"
    assert len(parse_json(text, where="a")) == 100_000
