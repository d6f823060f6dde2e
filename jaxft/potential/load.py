"""One door for every kind of potential: zoo names, foreign weight files, folders of ours."""

from pathlib import Path

from jaxft.errors import InputError, nearest
from jaxft.potential.potential import Potential
from jaxft.potential.zoo import ZOO, fetch


def load(name: str | Path, head: str | None = None) -> Potential:
    """Load a zoo name, a ``.nqx`` file or a folder that ``Potential.save`` wrote; ``head`` chooses among several."""
    potential = _load(name)
    if head is not None and head not in potential.heads:
        raise InputError(f"{name} has no head {head!r}; it has {', '.join(potential.heads)}")
    return potential


def _load(name: str | Path) -> Potential:
    from jaxft.potential.checkpoint import load_folder
    from jaxft.potential.nqx import read_nqx

    path = Path(name)
    if str(name) in ZOO:
        path = fetch(str(name))
    if path.is_dir():
        return load_folder(path)
    if path.suffix == ".nqx" and path.is_file():
        return read_nqx(path)
    if path.exists():
        raise InputError(f"{path} is neither a .nqx file nor a folder that jaxft saved")
    known = sorted(ZOO)
    raise InputError(
        f"no potential {str(name)!r}: expected a zoo name ({', '.join(known)}), a .nqx file or a folder that jaxft "
        f"saved{nearest(str(name), known)}"
    )
