"""A torch module as a file describes it: its children, arrays, numbers and irreps, by name and checked.

Whatever is missing or of the wrong kind raises InputError with the full name, as torch's state_dict would print it.
"""

from dataclasses import dataclass
from typing import Any

import e3nn_jax as e3nn
import numpy as np

from jaxft.errors import InputError
from jaxft.potential.inert_pickle import Bag, Name, Tensor, shortened
from jaxft.potential.torch_file import TorchFile

MAX_ORDER = 6
MAX_CHANNELS = 1 << 20
"""Irreps beyond these no model has; a file that claims them would only cost time."""


@dataclass(frozen=True)
class TorchModule:
    """One module of a model: the file, the object in it, and its name (empty for the model itself)."""

    file: TorchFile
    bag: Bag
    name: str = ""

    @property
    def kind(self) -> str:
        """The name of its class, without the package."""
        return self.bag.kind.rsplit(".", 1)[-1]

    def error(self, text: str) -> InputError:
        """An error that names the file."""
        return InputError(f"{self.file.path}: {text}")

    def full(self, name: str) -> str:
        """The full name of something in this module."""
        return f"{self.name}.{name}" if self.name else name

    def has(self, name: str) -> bool:
        """Whether there is a child, an array or a value of that name."""
        return self.bag.get(name) is not None

    def value(self, name: str, kind: type, default: Any = None) -> Any:
        """A plain attribute of a given type; ``default`` where it is absent."""
        value = self.bag.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise self.error(f"{self.full(name)} is {_described(value)}, expected {kind.__name__}")
        return value

    def child(self, name: str, *kinds: str) -> "TorchModule":
        """A module in this one, of one of the given classes (with their packages); any class where none is given."""
        bag = self.bag.get(name)
        if not isinstance(bag, Bag):
            raise self.error(f"it lacks the module {self.full(name)}; expected a MACE model")
        if kinds and bag.kind not in kinds:
            known = ", ".join(kind.rsplit(".", 1)[-1] for kind in kinds)
            raise self.error(f"{self.full(name)} is a {bag.kind}, which jaxft does not support; it supports {known}")
        return TorchModule(self.file, bag, self.full(name))

    def children(self, name: str) -> list["TorchModule"]:
        """The modules of a ModuleList."""
        parent = self.child(name, "torch.nn.modules.container.ModuleList")
        found = parent.bag.get("_modules")
        if not isinstance(found, dict) or list(found) != [str(k) for k in range(len(found))]:
            raise self.error(f"{parent.name} is not a list of modules; expected a MACE model")
        return [parent.child(str(k)) for k in range(len(found))]

    def array(self, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """A tensor as float64 or as whole numbers; finite, and of the shape wanted."""
        tensor = self.bag.get(name)
        if not isinstance(tensor, Tensor):
            raise self.error(f"it lacks the array {self.full(name)}; expected a MACE model")
        if shape is not None and tensor.shape != shape:
            raise self.error(f"{self.full(name)} has shape {shortened(str(tensor.shape))}, expected {shape}")
        array = self.file.array(tensor)
        if array.dtype.kind != "f":
            return array
        if not np.isfinite(array).all():
            raise self.error(f"{self.full(name)} holds numbers that are not finite; fetch or save the file again")
        return array.astype(np.float64)

    def number(self, name: str) -> float:
        """A tensor of one number."""
        return float(self.array(name, ()))

    def positive(self, name: str) -> float:
        """A plain number or a tensor of one, greater than zero."""
        value = self.real(name)
        if not value > 0.0:
            raise self.error(f"{self.full(name)} is {value}, expected more than 0")
        return value

    def whole(self, name: str) -> int:
        """A whole number greater than zero, however it is stored."""
        value = self.positive(name)
        if value != int(value):
            raise self.error(f"{self.full(name)} is {value}, expected a whole number")
        return int(value)

    def size(self, name: str) -> int:
        """How many numbers a tensor holds; 0 where there is none of that name."""
        tensor = self.bag.get(name)
        return int(np.prod(tensor.shape, dtype=object)) if isinstance(tensor, Tensor) else 0

    def real(self, name: str) -> float:
        """A plain number, or one that NumPy or torch wrapped."""
        value = self.bag.get(name)
        if isinstance(value, Bag) and value.kind.endswith("multiarray.scalar") and len(value.args) == 2:
            dtype, data = value.args
            kind = dtype.args[0] if isinstance(dtype, Bag) and dtype.args else None
            if (
                isinstance(kind, str)
                and kind in ("f8", "f4", "i8", "i4")
                and isinstance(data, bytes)
                and len(data) == int(kind[1])
            ):
                value = float(np.frombuffer(data, dtype=f"<{kind}")[0])
        if isinstance(value, Tensor):
            return self.number(name)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        # beyond 1e300 a whole number is no float any more
        if not plain or not abs(value) < 1e300:
            raise self.error(f"{self.full(name)} is {_described(value)}, expected a number")
        return float(value)

    def irreps(self, name: str) -> e3nn.Irreps:
        """Irreps as e3nn for torch pickles them: a tuple of (multiplicity, (l, parity))."""
        value = self.bag.get(name)
        try:
            if value.kind != "e3nn.o3._irreps.Irreps":
                raise TypeError("another class")
            pairs = []
            for item in value.args[0] if value.args else ():
                mul, ir = item.args[0]
                order, parity = ir.args[0]
                if not (0 < mul <= MAX_CHANNELS and 0 <= order <= MAX_ORDER):
                    raise ValueError(f"{mul} channels of order {order}")
                pairs.append((int(mul), e3nn.Irrep(int(order), int(parity))))
        except (AttributeError, TypeError, ValueError, IndexError) as error:
            raise self.error(f"{self.full(name)} is {_described(value)}, expected irreps ({error})") from error
        return e3nn.Irreps(pairs)


def _described(value: Any) -> str:
    if isinstance(value, Bag | Name):
        return f"a {shortened(value.kind if isinstance(value, Bag) else value.name)}"
    if isinstance(value, str | float | bool) or (isinstance(value, int) and abs(value) < 10**12):
        return repr(shortened(value) if isinstance(value, str) else value)
    # the content of anything that can be nested is not shown: it may be of any depth
    return "missing" if value is None else f"a {type(value).__name__}"
