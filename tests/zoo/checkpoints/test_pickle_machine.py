"""The pickle machine: what ``pickle`` writes comes back, and nothing that it names ever runs."""

import builtins
import collections
import contextlib
import io
import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

from samzoo.zoo.checkpoints import pickle_machine
from samzoo.zoo.checkpoints.pickle_machine import (
    MalformedPickleError,
    Name,
    Placeholder,
    read_pickle,
)


def no_reference(reference):
    raise ValueError("no references here")


def read(data, constructors=None, persistent=no_reference):
    return read_pickle(
        io.BytesIO(data),
        constructors={"collections.OrderedDict": dict} if constructors is None else constructors,
        persistent=persistent,
    )


shared = [1, 2]
VALUES = [
    None, True, False, 0, -1, 255, 65536, -(2**31), 2**40, 1.5, -0.0, "", "text", "\u00e9",
    "\U0001f600", b"", b"bytes", b"x" * 300, "x" * 300, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4),
    [], [1, [2, []]],
    {}, {"a": {"b": [1, (2, "c")]}, 3: None, 1.5: True, b"k": 0},
    collections.OrderedDict(a=1, b=2), {"first": shared, "second": shared}, list(range(3000)),
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_plain_values_come_back(value, protocol):
    if isinstance(value, bytes) and protocol < 3:  # pickled as a call of codecs.encode
        assert isinstance(read(pickle.dumps(value, protocol)), (Placeholder, bytes))
        return
    if isinstance(value, dict) and protocol < 3:
        value = {key: item for key, item in value.items() if key != b"k"}
    found = read(pickle.dumps(value, protocol))
    assert found == value
    assert repr(found) == repr(dict(value) if isinstance(value, dict) else value)


def test_an_escape_that_python_only_warns_of_is_refused():
    with pytest.raises(MalformedPickleError, match="invalid escape sequence"):
        read(b"S'\\z'\n.")


def test_sets_come_as_lists():
    for protocol in (4, 5):
        found = read(pickle.dumps([{3}, frozenset([4])], protocol))
        assert found == [[3], [4]]


def test_one_object_in_two_places_stays_one():
    found = read(pickle.dumps({"first": shared, "second": shared}))
    assert found["first"] is found["second"]


def test_the_next_value_in_a_stream_can_be_read():
    file = io.BytesIO(pickle.dumps(1) + pickle.dumps("two"))
    assert [read_pickle(file, constructors={}, persistent=no_reference) for _ in range(2)] == [
        1,
        "two",
    ]


class Plain:
    """An instance with a state, as trainers pickle them."""

    def __init__(self):
        self.number, self.self = 3, self


class WithSetState:
    """Its state is given to a function of its class."""

    def __getstate__(self):
        return {"command": "touch canary"}

    def __setstate__(self, state):
        os.system(state["command"])


class Reduced:
    """Pickled as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Keywords(Plain):
    """Made by ``__new__`` with keyword arguments."""

    def __getnewargs_ex__(self):
        return (1,), {"keyword": 2}


class ListLike(list[int]):
    """A list of a class of its own."""


class DictLike(dict[str, int]):
    """A dict of a class of its own."""


FOREIGN = {
    "instance": Plain(),
    "setstate": WithSetState(),
    "class": Plain,
    "function": os.getcwd,
    "numpy scalar": np.float64(0.5),
    "numpy array": np.ones(3),
    "list": ListLike([1, 2]),
    "dict": DictLike(a=1),
    "range": range(3),
    "complex": 1j,
    "bytearray call": Reduced(bytearray, b"x"),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", FOREIGN)
def test_anything_else_becomes_an_inert_placeholder(name, protocol):
    found = read(pickle.dumps({"before": 1, "value": FOREIGN[name], "after": [2]}, protocol))
    assert isinstance(found["value"], Placeholder)
    assert (found["before"], found["after"]) == (1, [2])


def test_new_with_keywords_is_swallowed():
    found = read(pickle.dumps([Keywords(), 5], 4))
    assert isinstance(found[0], Placeholder)
    assert found[1] == 5


def test_placeholders_say_what_was_named():
    assert read(pickle.dumps(Reduced(os.getcwd), 2)).name.endswith(".getcwd")
    assert isinstance(read(pickle.dumps(Plain, 4)), Name)


HOSTILE = {
    "os.system": pickle.dumps(Reduced(os.system, "touch canary")),
    "eval": pickle.dumps(Reduced(eval, "open('canary', 'w')")),
    "exec": pickle.dumps(Reduced(exec, "open('canary', 'w')")),
    "open": pickle.dumps(Reduced(open, "canary", "w")),
    "popen": pickle.dumps(Reduced(subprocess.Popen, ["touch", "canary"])),
    "getattr chain": b"cbuiltins\ngetattr\n(cos\nsystem\nS'__call__'\ntR(S'touch canary'\ntR.",
    "setstate": pickle.dumps(WithSetState()),
    "inst": b"(S'touch canary'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'touch canary'\no.",
    "newobj": b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch canary\x85\x81.",
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch canary\x85R.",
    "nested": pickle.dumps({"a": [Reduced(os.system, "touch canary")] * 3}),
    "in a key": b"}(cos\nsystem\n(S'touch canary'\ntRI1\nu.",
    "build on a class": b"cos\nsystem\n}S'x'\nI1\nsb.",
    "dotted": b"\x80\x04\x8c\x08builtins\x8c\x0d__import__.os\x93\x8c\x02os\x85R.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_run_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def refuse(*arguments, **keywords):
        raise AssertionError(f"imported {arguments[0]}")

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", refuse)
        found = read(HOSTILE[name])
    assert isinstance(found, (Placeholder, dict))
    assert os.listdir(tmp_path) == []


def test_our_functions_are_called_with_tuples_only():
    calls = []
    constructors = {"m.f": lambda *arguments: calls.append(arguments)}
    read(b"cm\nf\n(I1\nI2\ntR.", constructors)
    assert calls == [(1, 2)]
    assert isinstance(read(b"cm\nf\n]R.", constructors), Placeholder)
    assert isinstance(read(b"cm\nf\n(I1\ntRI1\n\x85R.", {"m.f": lambda _: Placeholder("x")}),
                      Placeholder)  # fmt: skip


def deep(count):
    return b"]" * count + b"a" * (count - 1) + b"."


def dag(levels):
    """A tuple of two copies of a tuple of two copies: a few bytes, 2**levels leaves."""
    steps = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(levels))
    return b"\x80\x02)" + steps


MALFORMED = {
    "empty": b"",
    "nothing": b".",
    "cut": pickle.dumps({"a": "b" * 100})[:-20],
    "two values": b"I1\nI2\n.",
    "no stop": b"I1\n",
    "unknown step": b"\xff.",
    "too few": b"\x86.",
    "below a mark": b"I1\n(R.",
    "no mark": b"t.",
    "memo": b"h\x05.",
    "unset memo": b"j\xff\xff\xff\x7f.",
    "odd items": b"}(S'a'\nu.",
    "append to a number": b"I1\nI2\na.",
    "item of a list": b"]I1\nI2\ns.",
    "call of a number": b"I1\n)R.",
    "call of a text": b"S'a'\n)R.",
    "extension": b"\x82\x01.",
    "buffer": b"\x80\x05\x97.",
    "reference": b"I1\nQ.",
    "text reference": b"Pkey\n.",
    "global of numbers": b"\x80\x04K\x01K\x02\x93.",
    "string": b"S'a\n.",
    "bad text": b"X\x02\x00\x00\x00\xff\xff.",
    "long text": b"X\xff\xff\xff\xff.",
    "huge bytes": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".",
    "negative length": b"T\xff\xff\xff\xff.",
    "decimal of many digits": b"L" + b"9" * 5000 + b"L\n.",
    "arguments": b"ccollections\nOrderedDict\n(I1\nI2\nI3\ntR.",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_pickles_are_told(name):
    with pytest.raises(MalformedPickleError):
        read(MALFORMED[name])


def test_steps_are_limited(monkeypatch):
    monkeypatch.setattr(pickle_machine, "MAX_PICKLE_OPCODES", 100)
    with pytest.raises(MalformedPickleError, match="more than 100 steps"):
        read(b"N0" * 60 + b"N.")


def test_one_list_cannot_fill_dicts_again_and_again(monkeypatch):
    """3 MB of such steps took hours."""
    monkeypatch.setattr(pickle_machine, "MAX_PICKLE_ITEMS", 1000)
    pairs = b"]" + b"q\x00(" + b"]q\x01(I1\nI2\ne" * 100 + b"e0"
    call = b"ccollections\nOrderedDict\nh\x00\x85R0"
    with pytest.raises(MalformedPickleError, match="dicts of more than 1000 items"):
        read(pairs + call * 100 + b"N.")


def test_depth_costs_no_recursion():
    found = read(deep(100_000))
    assert isinstance(found, list)
    while found:  # let go level by level
        found = found[0]


def test_a_shared_tuple_is_not_a_key():
    """As a key it would be hashed leaf by leaf: 2**60 of them."""
    data = b"\x80\x02}q\xfa" + dag(60)[2:] + b"K\x01s."
    found = read(data)
    assert [type(key) for key in found] == [Placeholder]


def test_a_huge_memo_index_costs_nothing():
    assert read(b"I1\nr\xff\xff\xff\x7f.") == 1


def test_long_integers_are_not_kept():
    assert read(pickle.dumps(2**100)) == 2**100
    assert isinstance(read(pickle.dumps(2**100_000)), Placeholder)


def test_messages_of_our_functions_are_escaped():
    def fail(text):
        raise ValueError(text)

    with pytest.raises(MalformedPickleError) as caught:
        read(b"\x80\x02cm\nf\nX\x02\x00\x00\x00\x1b[\x85R.", {"m.f": fail})
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_pickles_end_in_a_value_or_our_error(seed):
    rng = np.random.default_rng(seed)
    data = bytearray(pickle.dumps(VALUES[:-1], 2 + seed % 4))
    for _ in range(rng.integers(1, 6)):
        data[rng.integers(len(data))] = rng.integers(256)
    with contextlib.suppress(MalformedPickleError):
        read(bytes(data))
