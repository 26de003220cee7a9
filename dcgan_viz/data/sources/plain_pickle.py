"""The data in a pickle, without unpickling it.

A pickle is a program, and may call anything; the batches of CIFAR use a few of its instructions, to write dictionaries,
lists, numbers, text and NumPy arrays of bytes. Only those are carried out here, on plain values: no name is looked up
and nothing is called.
"""

from __future__ import annotations

import math
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.errors import UserError

MAXIMUM_PICKLE = 2**30
ARRAY_NAMES = frozenset(
    {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
)
_NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_TEXTS = {"SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINUNICODE", "SHORT_BINUNICODE"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(str):
    """A name that a pickle would import."""


class _Array:
    """An array or its type while a pickle describes it."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.state: tuple[Any, ...] = ()


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle of plain data and arrays of bytes.

    Raises
    ------
    UserError
        If it is damaged, or holds anything else; none of it is carried out.
    """
    try:
        if path.stat().st_size > MAXIMUM_PICKLE:
            raise ValueError("it is larger than a batch of pictures")
        found = _Reader().read(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("it holds no dictionary")
        return {_text(key): _finished(value) for key, value in found.items()}
    except Exception as error:  # Bytes that are no pickle end the walk over them in many ways.
        raise UserError(
            f"{path} is not a batch of plain data and arrays ({error or type(error).__name__}): pickles of anything else "
            "could run code and are not read; take CIFAR's binary version"
        ) from error


class _Reader:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def read(self, data: bytes) -> Any:
        for instruction, argument, _ in pickletools.genops(data):
            name = instruction.name
            if name == "STOP":
                return self.stack.pop()
            if name in _NUMBERS | _TEXTS:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _TUPLES:
                self.stack.append(tuple(self._pop(_TUPLES[name])))
            else:
                getattr(self, f"_do_{name.lower()}", self._refuse)(argument, name)
        raise ValueError("it is cut off")

    def _refuse(self, _: Any, name: str) -> None:
        raise ValueError(f"it holds the instruction {name}")

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("it is damaged")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _since_mark(self) -> list[Any]:
        return self._pop(len(self.stack) - self.marks.pop())

    def _do_proto(self, *_: Any) -> None:
        """Begins every pickle."""

    _do_frame = _do_proto

    def _do_mark(self, *_: Any) -> None:
        self.marks.append(len(self.stack))

    def _do_empty_dict(self, *_: Any) -> None:
        self.stack.append({})

    def _do_empty_list(self, *_: Any) -> None:
        self.stack.append([])

    def _do_binput(self, number: int, *_: Any) -> None:
        self.memo[number] = self.stack[-1]

    _do_long_binput = _do_binput

    def _do_memoize(self, *_: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _do_binget(self, number: int, *_: Any) -> None:
        self.stack.append(self.memo[number])

    _do_long_binget = _do_binget

    def _do_append(self, *_: Any) -> None:
        (value,) = self._pop(1)
        self._top(list).append(value)

    def _do_appends(self, *_: Any) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def _do_setitem(self, *_: Any) -> None:
        key, value = self._pop(2)
        self._top(dict)[key] = value

    def _do_setitems(self, *_: Any) -> None:
        values = self._since_mark()
        self._top(dict).update(zip(values[::2], values[1::2], strict=True))

    def _do_tuple(self, *_: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _do_global(self, name: str, *_: Any) -> None:
        if name not in ARRAY_NAMES:
            raise ValueError(f"it would import {name}")
        self.stack.append(_Name(name))

    def _do_stack_global(self, *_: Any) -> None:
        self._do_global(" ".join(map(str, self._pop(2))))

    def _do_reduce(self, *_: Any) -> None:
        function, arguments = self._pop(2)
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise ValueError("it calls something that is not an array")
        self.stack.append(_Array(arguments))

    def _do_build(self, *_: Any) -> None:
        (state,) = self._pop(1)
        self._top(_Array).state = state

    def _top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError("it is damaged")
        return self.stack[-1]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _finished(value: Any) -> Any:
    """Arrays of bytes in place of their description: (version, shape, type, Fortran order, bytes)."""
    if not isinstance(value, _Array):
        return value
    _, shape, dtype, fortran, data = value.state
    if isinstance(data, str):
        # Strings of Python 2 are bytes; pickletools reads them as Latin-1.
        data = data.encode("latin-1")
    if not isinstance(dtype, _Array) or dtype.arguments[0] not in ("u1", b"u1") or fortran:
        raise ValueError("it holds an array of something else than bytes")
    if len(data) != math.prod(shape):
        raise ValueError(f"an array {shape} has {len(data)} bytes")
    array: NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(shape)
    return array
