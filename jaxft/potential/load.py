"""One door for every kind of potential: zoo names, foreign weight files, folders of ours."""

from pathlib import Path
from zipfile import is_zipfile

from jaxft.errors import InputError, nearest
from jaxft.potential.potential import Potential
from jaxft.potential.zoo import ZOO, fetch

TORCH_SUFFIXES = (".model", ".pt", ".pth")
"""How files of ``torch.save`` usually end; any other zip archive is tried as one too."""


def load(name: str | Path, head: str | None = None) -> Potential:
    """Load a zoo name, a ``.nqx`` file, a model that MACE-torch saved (``.model``), or a folder that ``Potential.save`` wrote.

    head: which of several; a model with several asks for it, and what is loaded has that one alone.
    """
    potential = _load(name, head)
    if head is not None and head not in potential.heads:
        raise InputError(f"{name} has no head {head!r}; it has {', '.join(potential.heads)}")
    return potential


def _load(name: str | Path, head: str | None) -> Potential:
    from jaxft.potential.checkpoint import load_folder
    from jaxft.potential.mace_file import read_mace
    from jaxft.potential.nqx import read_nqx

    path = Path(name)
    if str(name) in ZOO:
        path = fetch(str(name))
    if path.is_dir():
        return load_folder(path)
    if path.suffix == ".nqx" and path.is_file():
        return read_nqx(path)
    if path.is_file() and (path.suffix in TORCH_SUFFIXES or is_zipfile(path)):
        return read_mace(path, head)
    if path.exists():
        raise InputError(f"{path} is neither a .nqx file, nor a .model file of MACE, nor a folder that jaxft saved")
    known = sorted(ZOO)
    raise InputError(
        f"no potential {str(name)!r}: expected a zoo name ({', '.join(known)}), a .nqx or .model file or a folder that "
        f"jaxft saved{nearest(str(name), known)}"
    )
