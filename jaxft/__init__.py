"""jaxft: fine-tune a universal interatomic potential on a few dozen quantum calculations, and know when to trust it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["__version__", "load", "load_committee"]

if TYPE_CHECKING:
    from jaxft.potential.committee import Committee
    from jaxft.potential.potential import Potential


def load(name: str | Path, head: str | None = None) -> Potential:
    """Load a potential: a zoo name (``jaxft models list``), a ``.nqx`` or MACE ``.model`` file, or a folder that jaxft saved.

    head: which head of a potential that has several. Raises InputError where nothing of that name can be loaded.
    """
    from jaxft.potential.load import load as load_potential

    return load_potential(name, head=head)


def load_committee(folder: str | Path, dtype: str = "float32") -> Committee:
    """Load the members of a committee from the folder of a fine-tune that trained one."""
    from jaxft.potential.committee import load_committee as load_members

    return load_members(folder, dtype=dtype)
