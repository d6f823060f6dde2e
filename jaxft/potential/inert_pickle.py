"""Reading the pickle of a torch model without running it.

A pickle is a program that rebuilds an object by calling things by name. Here it is *read*, opcode by opcode: a tensor becomes
a description of where its numbers lie, every other object a ``Bag`` with the name of its class and its attributes, and a name
outside ``ALLOWED`` ends the reading. Nothing is imported, looked up or called. What the attributes mean is not known here.
"""

import pickletools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxft.errors import InputError

MAX_OPCODES = 1_000_000
MAX_ATTRIBUTES = 1_000_000
"""Attributes of all objects together: one dictionary may be given to many objects, and each copies it."""

MAX_ENCODED = 1 << 16
"""Characters of a text that the file turns into bytes (NumPy's scalars, of 8 bytes)."""

STORAGES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "<i1",
    "torch.ByteStorage": "<u1",
    "torch.BoolStorage": "?",
}

GETATTR = ("__builtin__.getattr", "builtins.getattr")
TORCH_FUNCTIONS = "torch._C._VariableFunctionsClass"

ALLOWED = (
    *STORAGES,
    *GETATTR,
    TORCH_FUNCTIONS,
    "collections.OrderedDict",
    "__builtin__.set",
    "builtins.set",
    "__builtin__.slice",
    "builtins.slice",
    "_codecs.encode",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "torch.Size",
    "torch.device",
    "torch.float32",
    "torch.float64",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.fx.graph_module.reduce_graph_module",
    "torch.fx._symbolic_trace.Tracer",
    "torch.nn.functional.silu",
    "torch.nn.functional.sigmoid",
    "torch.nn.functional.relu",
    "torch.nn.functional.tanh",
    "torch._tensor.Tensor",
    "torch.nn.parameter.Parameter",
)
"""Functions and classes that a model may name; beside them any class (a capitalised name) of ``ALLOWED_PACKAGES``."""

ALLOWED_PACKAGES = re.compile(r"(mace\.modules|mace\.tools|e3nn\.(o3|nn|math|util)|torch\.nn\.modules)(\.\w+)*\.\w+")

KNOWN_FUNCTIONS = re.compile(r"(mace\.modules\.irreps_tools\.reshape_irreps|e3nn\.math\.\w+\.normalize2mom)")
"""Classes of those packages whose names are not capitalised."""

_MARK = object()


@dataclass(frozen=True)
class Storage:
    """One raw array of the archive: its member, its type, how many numbers it holds."""

    member: str
    dtype: np.dtype
    size: int


@dataclass(frozen=True)
class Tensor:
    """A tensor as the file describes it: a view into a storage, counted in numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Name:
    """Something that the file names, for example a class or a function; never looked up."""

    name: str


@dataclass
class Bag:
    """An object of the file: the name of its class, what it was made from, its attributes and its members."""

    kind: str
    args: tuple[Any, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute; for a torch module also its parameters, buffers and submodules."""
        for where in (self.state, *(self.state.get(key) for key in ("_parameters", "_buffers", "_modules"))):
            if isinstance(where, dict) and name in where:
                return where[name]
        return default


def read_pickle(data: bytes, path: Path) -> Any:
    """The object that a pickle describes; ``path`` is the file that errors name.

    Raises InputError for a damaged pickle, for opcodes that torch does not write, and for a name outside ``ALLOWED``.
    """
    return _Interpreter(path).run(data)


class _Interpreter:
    """Reads a pickle: a stack, a memo, and for each opcode what it leaves behind. Nothing is imported or called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.attributes = 0

    def run(self, data: bytes) -> Any:
        """The object that the pickle describes."""
        try:
            for opcode, argument in self._opcodes(data):
                if opcode == "STOP":
                    return self.stack.pop()
                self._step(opcode, argument)
        except InputError:
            raise
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            reason = shortened(str(error))
            raise InputError(f"{self.path}: its data.pkl is damaged ({reason}); fetch the file again") from error
        raise InputError(f"{self.path}: its data.pkl ends early; fetch the file again")

    def _opcodes(self, data: bytes) -> Iterator[tuple[str, Any]]:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > MAX_OPCODES:
                raise InputError(
                    f"{self.path}: its data.pkl has more than the {MAX_OPCODES} steps that any model needs"
                )
            yield opcode.name, argument

    def _step(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        if opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in _LITERALS:
            stack.append(argument)
        elif opcode in _EMPTY:
            stack.append(_EMPTY[opcode]())
        elif opcode in ("PROTO", "FRAME"):
            pass
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif opcode == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif opcode == "MARK":
            stack.append(_MARK)
        elif opcode == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif opcode in _TUPLES:
            count = _TUPLES[opcode]
            stack[-count:] = [tuple(stack[-count:])]
        elif opcode in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [stack.pop()] if opcode == "APPEND" else self._since_mark()
            _members(stack[-1]).extend(items)
        elif opcode in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if opcode == "SETITEM" else self._since_mark()
            # no other kind of key occurs; hashing nested tuples could take for ever
            if not all(isinstance(key, str | int) for key in items[::2]):
                raise TypeError("a dictionary whose keys are neither names nor whole numbers")
            _entries(stack[-1]).update(zip(items[::2], items[1::2], strict=True))
        elif opcode in ("GLOBAL", "STACK_GLOBAL"):
            module, name = argument.split(" ", 1) if opcode == "GLOBAL" else (stack.pop(-2), stack.pop())
            if not isinstance(module, str) or not isinstance(name, str):
                raise TypeError("a name that is no text")
            stack.append(Name(self._allowed(f"{module}.{name}")))
        elif opcode in ("REDUCE", "NEWOBJ"):
            arguments = stack.pop()
            callee = stack.pop()
            looked_up = isinstance(callee, Name) and callee.name in GETATTR
            stack.append(self._attribute(arguments) if looked_up else _made(callee, arguments))
        elif opcode == "BUILD":
            state = stack.pop()
            self._count(state)
            _set_state(stack[-1], state)
        elif opcode == "BINPERSID":
            stack.append(_storage(stack.pop()))
        else:
            raise InputError(f"{self.path}: its data.pkl uses {opcode}, which torch does not write; refused")

    def _count(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        self.attributes += sum(len(part) for part in parts[:2] if isinstance(part, dict))
        if self.attributes > MAX_ATTRIBUTES:
            raise InputError(
                f"{self.path}: its objects have more than {MAX_ATTRIBUTES} attributes, which no model needs"
            )

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError("no mark on the stack")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def _allowed(self, name: str) -> str:
        last = name.rsplit(".", 1)[-1].lstrip("_")
        if name in ALLOWED or KNOWN_FUNCTIONS.fullmatch(name):
            return name
        if ALLOWED_PACKAGES.fullmatch(name) and last[:1].isupper():
            return name
        raise self._refusal(name)

    def _attribute(self, arguments: Any) -> Name:
        """Functions of torch that are written in C come as getattr(torch._C._VariableFunctionsClass, name)."""
        owner, name = arguments
        if not isinstance(owner, Name) or not isinstance(name, str):
            raise TypeError("a look-up that is not of a name in a name")
        if owner != Name(TORCH_FUNCTIONS) or name not in ("abs", "relu", "sigmoid", "tanh"):
            raise self._refusal(f"getattr({owner.name}, {name})")
        return Name(f"torch.{name}")

    def _refusal(self, name: str) -> InputError:
        return InputError(
            f"{self.path}: it names {shortened(name)!r}, which is no part of a MACE model that jaxft reads; refused, and nothing "
            "of it was executed"
        )


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINBYTES", "BINBYTES"),
)
_EMPTY: dict[str, Any] = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _made(callee: Any, arguments: Any) -> Any:
    """What calling ``callee`` would have made, for the few things whose content is needed; else a bag of that name."""
    if not isinstance(callee, Name) or not isinstance(arguments, tuple):
        raise TypeError(f"a call of {type(callee).__name__}")
    if callee.name == "collections.OrderedDict" and arguments == ():
        return {}
    if callee.name == "torch._utils._rebuild_tensor_v2":
        storage, offset, shape, strides = arguments[:4]
        shape, strides = (tuple(x.args[0] if isinstance(x, Bag) else x) for x in (shape, strides))
        numbers = (offset, *shape, *strides)
        if not isinstance(storage, Storage) or not all(type(n) is int and n >= 0 for n in numbers):
            raise TypeError("a tensor that is not made of a storage and whole numbers")
        return Tensor(storage, offset, shape, strides)
    if callee.name.startswith("torch._utils._rebuild_parameter"):
        if not isinstance(arguments[0], Tensor):
            raise TypeError("a parameter that is not made of a tensor")
        return arguments[0]
    if callee.name == "_codecs.encode":
        text = arguments[0]
        if not isinstance(text, str) or len(text) > MAX_ENCODED:
            raise TypeError("bytes that are not made of a short text")
        return text.encode("latin-1")
    return Bag(callee.name, arguments)


def _members(target: Any) -> list[Any]:
    return target.items if isinstance(target, Bag) else _of(list, target)


def shortened(text: str, length: int = 120) -> str:
    """A text of the file for a message: bounded, whatever the file holds."""
    return text if len(text) <= length else f"{text[:length]}…"


def _entries(target: Any) -> dict[Any, Any]:
    return target.state if isinstance(target, Bag) else _of(dict, target)


def _of(kind: type, target: Any) -> Any:
    if not isinstance(target, kind):
        raise TypeError(f"{type(target).__name__} where a {kind.__name__} was expected")
    return target


def _set_state(target: Any, state: Any) -> None:
    """Attributes of an object; those of a dictionary (torch puts some on an OrderedDict) are not needed."""
    if isinstance(target, Bag):
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
            state = {**(state[0] or {}), **state[1]}
        target.state.update(state if isinstance(state, dict) else {"__state__": state})


def _storage(identity: Any) -> Storage:
    """The storage that a persistent identity of torch names: ('storage', type, member, device, size)."""
    word, kind, member, _, size = identity
    if not isinstance(word, str) or word != "storage" or not isinstance(kind, Name) or kind.name not in STORAGES:
        raise TypeError(f"a storage of {kind.name if isinstance(kind, Name) else type(kind).__name__}")
    if not isinstance(member, str) or not re.fullmatch(r"[\w-]+", member) or type(size) is not int or size < 0:
        raise TypeError("a storage without a plain name and size")
    return Storage(member, np.dtype(STORAGES[kind.name]), size)
