"""A reader of pickles that runs no code: it builds plain containers, and all else stays inert.

In: the bytes of a pickle, and our own functions for the few names that may be called. Out: dicts,
lists, tuples, numbers, texts and what those functions return.

This module does not use Python's ``pickle``. A pickle is a program for a stack machine. The machine
here cannot import a module or call code from the file: a name that is not in the table becomes a
``Placeholder``, which ignores everything that the file does with it.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from typing import IO, Any

from samzoo.runtime.budgets import MAX_PICKLE_ITEMS, MAX_PICKLE_OPCODES
from samzoo.runtime.errors import shown

MAX_INTEGER_BITS = 128
"""Limit for integers. No checkpoint needs longer ones, and they are slow to print (own choice)."""

PLAIN_KEYS = (str, int, float, bool, bytes, type(None))
"""Types that a key of a dict may have. Hashing a nested tuple could take forever."""

Constructors = Mapping[str, Callable[..., object]]


class MalformedPickleError(Exception):
    """The bytes are not a pickle, or exceed the limits. Callers turn this into a FormatError."""


class Placeholder:
    """A stand-in for whatever a pickle names that is neither a tensor nor a plain container.

    Attributes:
        name: ``module.name`` as the file gives it.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{shown(self.name, limit=80)}>"


class Name(Placeholder):
    """A name in a pickle that was not called: a class or function as a value."""

    __slots__ = ()


def read_pickle(
    file: IO[bytes], *, constructors: Constructors, persistent: Callable[[object], object]
) -> object:
    """Read one pickle.

    Args:
        file: A file positioned at the pickle's start; it ends up at the pickle's end.
        constructors: Our functions by ``module.name``. They get the file's arguments, check them
            and raise ``ValueError`` if they are wrong.
        persistent: Our function for references to things outside the pickle (storages).

    Returns:
        The value. Keys of dicts are plain; sets come as lists.

    Raises:
        MalformedPickleError: The pickle is damaged or too long, or a constructor refuses an
            argument.
    """
    machine = _Machine(constructors, persistent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of escapes in strings that no pickle has
            for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if count >= MAX_PICKLE_OPCODES:
                    raise MalformedPickleError(f"more than {MAX_PICKLE_OPCODES} steps")
                machine.step(opcode.name, argument)
            return machine.result()
    except MalformedPickleError:
        raise
    except RecursionError as error:
        raise MalformedPickleError("nested too deeply") from error
    # All other errors that hostile bytes can cause, including those of constructors.
    except (
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError, Warning,
    ) as error:  # fmt: skip
        raise MalformedPickleError(shown(str(error))) from error


class _Machine:
    """The stack, the marks on it and the memo."""

    def __init__(self, constructors: Constructors, persistent: Callable[[object], object]) -> None:
        self._constructors, self._persistent = constructors, persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._items = 0
        self._steps: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(_IGNORED, _ignore),
            **dict.fromkeys(_VALUES, self._value),
            **{name: self._constant(value) for name, value in _CONSTANTS.items()},
            **dict.fromkeys(_PUTS, self._put),
            **dict.fromkeys(_GETS, self._get),
            **{name: self._tuple(length) for name, length in _TUPLES.items()},
            "MARK": lambda _: self._marks.append(len(self._stack)),
            "POP": lambda _: self._pop_top(),
            "POP_MARK": lambda _: _ignore(self._to_mark()),
            "DUP": lambda _: self._push(self._stack[-1]),
            "EMPTY_LIST": lambda _: self._push([]),
            "EMPTY_SET": lambda _: self._push([]),
            "EMPTY_DICT": lambda _: self._push({}),
            "TUPLE": lambda _: self._push(tuple(self._to_mark())),
            "LIST": lambda _: self._push(self._to_mark()),
            "FROZENSET": lambda _: self._push(self._to_mark()),
            "DICT": lambda _: self._push(_fill({}, self._to_mark())),
            "APPEND": lambda _: self._extend([self._pop()]),
            "APPENDS": lambda _: self._extend(self._to_mark()),
            "ADDITEMS": lambda _: self._extend(self._to_mark()),
            "SETITEM": lambda _: self._set(self._pop_two()),
            "SETITEMS": lambda _: self._set(self._to_mark()),
            "GLOBAL": lambda name: self._push(Name(str(name).replace(" ", ".", 1))),
            "STACK_GLOBAL": lambda _: self._stack_global(),
            "REDUCE": lambda _: self._call(*self._pop_two()),
            "NEWOBJ": lambda _: self._call(*self._pop_two()),
            "NEWOBJ_EX": lambda _: self._new_with_keywords(),
            "INST": self._instance,
            "OBJ": lambda _: self._object(self._to_mark()),
            "BUILD": lambda _: _ignore(self._pop()),
            "PERSID": lambda key: self._push(self._persistent(key)),
            "BINPERSID": lambda _: self._push(self._persistent(self._pop())),
        }

    def step(self, opcode: str, argument: Any) -> None:
        """Do one step; refuse opcodes that are not listed here (extensions, buffers)."""
        action = self._steps.get(opcode)
        if action is None:
            raise MalformedPickleError(f"found the step {opcode}, which no checkpoint needs")
        action(argument)

    def result(self) -> object:
        """Return the value that is left when the pickle ends."""
        if len(self._stack) != 1 or self._marks:
            raise MalformedPickleError("it ends too early")
        return self._stack[0]

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        # Values below a mark must stay.
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise MalformedPickleError("it takes more values than it has put down")
        return self._stack.pop()

    def _pop_two(self) -> list[Any]:
        last = self._pop()
        return [self._pop(), last]

    def _pop_top(self) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def _to_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _value(self, value: object) -> None:
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            value = Placeholder("int")
        self._push(value)

    def _constant(self, value: object) -> Callable[[Any], None]:
        return lambda _: self._push(value)

    def _tuple(self, length: int) -> Callable[[Any], None]:
        return lambda _: self._push((*reversed([self._pop() for _ in range(length)]),))

    def _put(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._push(self._memo[index])

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Placeholder):
            raise MalformedPickleError(f"it appends to a {type(target).__name__}")

    def _set(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, dict):
            _fill(target, values)
        elif not isinstance(target, Placeholder):
            raise MalformedPickleError(f"it sets an item of a {type(target).__name__}")

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise MalformedPickleError("a name that is not a text")
        self._push(Name(f"{module}.{name}"))

    def _call(self, target: object, arguments: object) -> None:
        # One list that was built once can be given to a function in every step.
        given = arguments if isinstance(arguments, tuple) else ()
        self._items += sum(len(each) for each in given if isinstance(each, (list, dict)))
        if self._items > MAX_PICKLE_ITEMS:
            raise MalformedPickleError(f"it makes dicts of more than {MAX_PICKLE_ITEMS} items")
        self._push(call(target, arguments, self._constructors))

    def _new_with_keywords(self) -> None:
        self._pop()
        self._call(*self._pop_two())

    def _instance(self, name: str) -> None:
        self._to_mark()
        self._push(Placeholder(str(name).replace(" ", ".", 1)))

    def _object(self, values: list[Any]) -> None:
        self._call(values[0], tuple(values[1:]))


def call(target: object, arguments: object, constructors: Constructors) -> object:
    """Call one of our functions by the name that a file gave, or return a ``Placeholder``.

    Args:
        target: A ``Name``, or anything else in a hostile file.
        arguments: A tuple, or anything else in a hostile file.
        constructors: Our functions by name.
    """
    if not isinstance(target, Placeholder):
        raise MalformedPickleError(f"it calls a {type(target).__name__}")
    if isinstance(target, Name) and target.name in constructors and isinstance(arguments, tuple):
        return constructors[target.name](*arguments)
    return Placeholder(target.name)


def _fill(target: dict[Any, Any], values: list[Any]) -> dict[Any, Any]:
    for key, value in zip(values[::2], values[1::2], strict=True):
        if isinstance(key, PLAIN_KEYS):
            target[key] = value
        else:
            target[Placeholder(type(key).__name__)] = value
    return target


def _ignore(_: object) -> None:
    """Do nothing: for protocol numbers, frames, and values that are dropped."""


_IGNORED = ("PROTO", "FRAME", "STOP")
_VALUES = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
)  # fmt: skip
_CONSTANTS: dict[str, object] = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
}
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_GETS = ("GET", "BINGET", "LONG_BINGET")
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
