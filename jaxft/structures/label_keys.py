"""Which entries of a foreign file are its labels: MACE's names, ASE's own, or whatever else there is exactly one of.

Data sets call the energy ``REF_energy``, ``energy``, ``dft_energy``, ``TotEnergy`` ...; guessing between two would be silent and
wrong, so two candidates of equal standing are an error that lists them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from jaxft.errors import InputError
from jaxft.structures.extxyz import read_frames
from jaxft.structures.labelled import REF_KEYS, LabelKeys, is_isolated_atom

KNOWN = {
    "energy": (REF_KEYS.energy, "energy", "dft_energy", "free_energy"),
    "forces": (REF_KEYS.forces, "forces", "dft_forces", "force"),
    "stress": (REF_KEYS.stress, "stress", "dft_stress"),
}
"""Names by preference: ours, ASE's, those of well-known sets."""

LOOKS_LIKE = {"energy": r"energ(y|ies)$", "forces": r"forces?$", "stress": r"stress$"}


def detect_keys(path: str | Path) -> LabelKeys:
    """The names of the labels in an extended XYZ file, judged by its first frame that is no isolated atom.

    Raises InputError where there is no energy or no forces, or several that could be meant.
    """
    frames = read_frames(Path(path))
    first = next((atoms for atoms in frames if not is_isolated_atom(atoms)), frames[0])
    alone = is_isolated_atom(first)
    names = _names(first)
    found = {what: _choose(path, what, names) for what in KNOWN}
    missing = [what for what in ("energy", "forces") if found[what] is None and not (alone and what == "forces")]
    if missing:
        raise InputError(
            f"{path} has no {' and no '.join(missing)}; its entries are {', '.join(names) or 'none'}: label its structures, or "
            "name the entries with --energy-key and --forces-key"
        )
    return LabelKeys(
        found["energy"] or REF_KEYS.energy, found["forces"] or REF_KEYS.forces, found["stress"] or REF_KEYS.stress
    )


def _choose(path: str | Path, what: str, names: Sequence[str]) -> str | None:
    for known in KNOWN[what]:
        if known in names:
            return known
    like = [name for name in names if re.search(LOOKS_LIKE[what], name, flags=re.IGNORECASE)]
    if len(like) > 1:
        raise InputError(
            f"{path} has several entries that may be the {what}: {', '.join(like)}; name one with --{what}-key"
        )
    return like[0] if like else None


def _names(atoms: Atoms) -> list[str]:
    own = {"numbers", "positions"}
    return sorted({*atoms.info, *atoms.arrays, *getattr(atoms.calc, "results", {})} - own)
