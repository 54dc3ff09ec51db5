"""Read pickles of plain values without executing or importing anything.

The opcodes are interpreted here, by a fixed grammar: numbers, text, bytes, lists, tuples,
dictionaries and numpy arrays. `pickle.Unpickler` with a list of allowed classes is not enough:
BUILD sets the state of any object that it can name, including classes.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy._core.numeric", "numpy")
_EMPTY: dict[tuple[str, str], Callable[[], Any]] = {
    ("collections", "OrderedDict"): dict,
    ("builtins", "bytes"): bytes,
    ("__builtin__", "bytes"): bytes,
}
"""Constructors that are called without arguments."""

_MARK = object()
_MAX_ARRAY_BYTES = 1 << 32


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that the pickle refers to; it is never imported."""

    module: str
    name: str


@dataclass(slots=True, eq=False)
class _Array:
    """An array or dtype under construction."""

    kind: str
    value: Any = None


def load_plain(data: bytes) -> Any:
    """Read a pickle of plain values and numpy arrays.

    Parameters
    ----------
    data : bytes
        A pickle of protocol 0 to 5.

    Returns
    -------
    object
        None, bool, int, float, str, bytes, list, tuple, dict, or numpy array of these. Paths become
        text.

    Raises
    ------
    ValueError
        It holds anything else, or is damaged.
    """
    machine = _Machine()
    for opcode, argument in _opcodes(data):
        if opcode.name == "STOP":
            return _finished(machine.pop())
        machine.run(opcode.name, argument)
    raise ValueError("the pickle is truncated")


def _opcodes(data: bytes) -> Iterator[tuple[Any, Any]]:
    try:
        for opcode, argument, _ in pickletools.genops(data):
            yield opcode, argument
    except ValueError as error:
        if "remain" in str(error) or "exhausted" in str(error):
            raise EOFError(str(error)) from error
        raise


class _Machine:
    """Stack and memo of a pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise ValueError("the pickle is damaged")
        return self._stack.pop()

    def run(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self._stack.append(_LITERALS[name](argument))
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in _IGNORED:
            raise ValueError(f"the pickle holds more than plain values and arrays ({name})")

    def _to_mark(self) -> list[Any]:
        items: list[Any] = []
        while self._stack and self._stack[-1] is not _MARK:
            items.append(self._stack.pop())
        if not self._stack:
            raise ValueError("the pickle is damaged")
        self._stack.pop()
        return items[::-1]

    def mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def discard(self, _: Any) -> None:
        if not self._stack:
            raise ValueError("the pickle is damaged")
        self._stack.pop()

    def discard_to_mark(self, _: Any) -> None:
        self._to_mark()

    def duplicate(self, _: Any) -> None:
        value = self.pop()
        self._stack += [value, value]

    def put(self, index: Any) -> None:
        value = self.pop()
        self._stack.append(value)
        self._memo[int(index) if index is not None else len(self._memo)] = value

    def get(self, index: Any) -> None:
        if int(index) not in self._memo:
            raise ValueError("the pickle is damaged")
        self._stack.append(self._memo[int(index)])

    def append(self, _: Any) -> None:
        value = self.pop()
        self._top(list).append(value)

    def extend(self, _: Any) -> None:
        values = self._to_mark()
        self._top(list).extend(values)

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._top(dict)[_key(key)] = value

    def set_items(self, _: Any) -> None:
        values = self._to_mark()
        target = self._top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key)] = value

    def tuple_of_mark(self, _: Any) -> None:
        self._stack.append(tuple(self._to_mark()))

    def list_of_mark(self, _: Any) -> None:
        self._stack.append(self._to_mark())

    def dict_of_mark(self, _: Any) -> None:
        values = self._to_mark()
        self._stack.append(
            {_key(k): value for k, value in zip(values[::2], values[1::2], strict=True)}
        )

    def tuple_1(self, _: Any) -> None:
        self._stack.append((self.pop(),))

    def tuple_2(self, _: Any) -> None:
        second, first = self.pop(), self.pop()
        self._stack.append((first, second))

    def tuple_3(self, _: Any) -> None:
        third, second, first = self.pop(), self.pop(), self.pop()
        self._stack.append((first, second, third))

    def name(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._stack.append(_Name(module, name))

    def name_of_stack(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("the pickle is damaged")
        self._stack.append(_Name(module, name))

    def reduce(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise ValueError("the pickle calls something that it has made")
        self._stack.append(_construct(function, arguments))

    def build(self, _: Any) -> None:
        state, target = self.pop(), self.pop()
        if not isinstance(target, _Array):
            raise ValueError("the pickle sets the state of something that is not an array")
        target.value = _with_state(target, state)
        self._stack.append(target)

    def _top(self, kind: type) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise ValueError("the pickle is damaged")
        return self._stack[-1]


def _key(value: Any) -> Any:
    if not isinstance(value, str | int | float | bytes | tuple | None):
        raise ValueError("the pickle has a dictionary with keys that are not plain")
    return value


def _construct(function: _Name, arguments: tuple[Any, ...]) -> Any:
    """Return what a call of a known constructor means; anything else is refused."""
    if function.module in _ARRAY_MODULES and function.name in _ARRAY_CONSTRUCTORS:
        return _ARRAY_CONSTRUCTORS[function.name](arguments)
    if (function.module, function.name) == ("_codecs", "encode"):
        text, encoding = arguments
        if encoding != "latin1":
            raise ValueError(f"the pickle encodes bytes as {encoding!r}")
        return str(text).encode("latin1")
    if (function.module, function.name) in _EMPTY and not arguments:
        return _EMPTY[function.module, function.name]()
    if function.module.split(".")[0] == "pathlib":
        return "/".join(part for part in arguments if isinstance(part, str))
    raise ValueError(f"the pickle wants to call {function.module}.{function.name}")


def _scalar(arguments: tuple[Any, ...]) -> Any:
    dtype, raw = arguments
    return np.frombuffer(_bytes(raw), _finished(dtype), count=1)[0].item()


def _array_of_buffer(arguments: tuple[Any, ...]) -> _Array:
    buffer, dtype, shape, order = arguments[:4]
    array = _array(_bytes(buffer), _finished(dtype), shape, is_fortran=order == "F")
    return _Array("array", array)


_ARRAY_CONSTRUCTORS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "_reconstruct": lambda _: _Array("array"),
    "dtype": lambda arguments: _Array("dtype", _dtype(arguments[0])),
    "scalar": _scalar,
    "_frombuffer": _array_of_buffer,
}


def _dtype(text: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(text))
    if dtype.kind not in "biufcOSU":
        raise ValueError(f"the pickle holds values of type {dtype}")
    return dtype


def _with_state(target: _Array, state: Any) -> Any:
    if target.kind == "dtype":
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "|"
        order = order.decode("latin1") if isinstance(order, bytes) else str(order)
        fields = state[3] if isinstance(state, tuple) and len(state) > 3 else None
        if fields is not None:
            raise ValueError("the pickle holds a structured array")
        return target.value.newbyteorder(order) if order in ("<", ">") else target.value
    _, shape, dtype, is_fortran, content = state
    return _array(content, _finished(dtype), shape, is_fortran=bool(is_fortran))


def _array(content: Any, dtype: Any, shape: Any, *, is_fortran: bool) -> Any:
    sides = tuple(int(side) for side in shape)
    if dtype == np.dtype(object):
        values = np.empty(len(content), object)
        for index, value in enumerate(content):
            values[index] = value
    else:
        raw = _bytes(content)
        if len(raw) > _MAX_ARRAY_BYTES:
            raise ValueError(f"an array of {len(raw):,} bytes")
        values = np.frombuffer(raw, dtype)
    return values.reshape(sides, order="F" if is_fortran else "C")


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):  # protocols 0 to 2 of Python 2
        value = value.encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise ValueError("the pickle holds an array without its bytes")
    return bytes(value)


def _finished(value: Any) -> Any:
    """Return a value with its arrays in place of their placeholders."""
    if isinstance(value, _Array):
        array = value.value
        if isinstance(array, np.ndarray) and array.dtype == object:
            array.ravel()[:] = [_finished(item) for item in array.ravel()]
        return array
    if isinstance(value, dict):
        return {key: _finished(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finished(item) for item in value)
    if isinstance(value, _Name):
        return f"{value.module}.{value.name}"
    return value


def _same(argument: Any) -> Any:
    return argument


_LITERALS: dict[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
    "EMPTY_TUPLE": lambda _: (),
    **dict.fromkeys(
        ["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"],
        _same,
    ),
    **dict.fromkeys(["UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"], _same),
    **dict.fromkeys(["STRING", "BINSTRING", "SHORT_BINSTRING"], _same),
    **dict.fromkeys(["BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"], _same),
}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.discard,
    "POP_MARK": _Machine.discard_to_mark,
    "DUP": _Machine.duplicate,
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"], _Machine.put),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], _Machine.get),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "TUPLE": _Machine.tuple_of_mark,
    "TUPLE1": _Machine.tuple_1,
    "TUPLE2": _Machine.tuple_2,
    "TUPLE3": _Machine.tuple_3,
    "LIST": _Machine.list_of_mark,
    "DICT": _Machine.dict_of_mark,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_of_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
_IGNORED = ("PROTO", "FRAME", "READONLY_BUFFER")
