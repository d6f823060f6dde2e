"""``@pytree``: a frozen dataclass that JAX can map over.

Fields marked ``static()`` are part of the tree's structure (they decide compilation); all others are leaves. JAX rebuilds
such a record while it traces, with placeholders for arrays, so unflattening bypasses ``__init__`` and its checks.
"""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(**kwargs: Any) -> Any:
    """Mark a field as compile-time structure: hashable, compared by equality, a change recompiles."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def pytree(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass and register it with JAX."""
    cls = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    leaves = [f.name for f in fields if not f.metadata.get("static")]
    statics = [f.name for f in fields if f.metadata.get("static")]

    def flatten_with_keys(record: T) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        children = [(jax.tree_util.GetAttrKey(n), getattr(record, n)) for n in leaves]
        return children, tuple(getattr(record, n) for n in statics)

    def unflatten(structure: tuple[Any, ...], children: Any) -> T:
        record = object.__new__(cls)
        for name, value in [*zip(leaves, children, strict=True), *zip(statics, structure, strict=True)]:
            object.__setattr__(record, name, value)
        return record

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten)
    return cls


def replace(record: T, **changes: Any) -> T:
    """Return a copy of ``record`` with some fields changed."""
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]
