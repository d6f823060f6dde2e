"""Which entries of a foreign file are its labels: MACE's names, ASE's own, or whatever else there is exactly one of.

Data sets call the energy ``REF_energy``, ``energy``, ``dft_energy``, ``TotEnergy`` ...; guessing between two would be silent and
wrong, so a known name goes before any other, even where only some frames have it, and two names that are not known are an error
that lists them. So is an energy that by its name is no total energy. A name that is given is used, whatever else there is.
"""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from ase import Atoms

from jaxft.errors import InputError, nearest
from jaxft.structures.extxyz import read_frames
from jaxft.structures.labelled import REF_KEYS, LabelKeys, LabelledStructure, is_isolated_atom

KNOWN = {
    "energy": (REF_KEYS.energy, "energy", "dft_energy", "free_energy"),
    "forces": (REF_KEYS.forces, "forces", "dft_forces", "force"),
    "stress": (REF_KEYS.stress, "stress", "dft_stress"),
}
"""Names by preference: ours, ASE's, those of well-known sets."""

LOOKS_LIKE = {"energy": r"energ(y|ies)$", "forces": r"forces?$", "stress": r"stress$"}

# fmt: off
NOT_TOTAL = frozenset({
    "formation", "deformation", "binding", "cohesive", "cohesion", "adsorption", "atomization", "atomisation", "interaction",
    "reaction", "mixing", "hull", "kinetic", "zero_point", "zeropoint", "dispersion", "per_atom", "peratom", "relative", "strain",
    "surface",
})
# fmt: on
"""Words in the names of energies that are no total energies: fitted as one, they would be wrong without a word."""

VIRIAL = r"virials?$"


@dataclass(frozen=True)
class GivenKeys:
    """Names of labels that the user gave; None: found out."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None


NONE_GIVEN = GivenKeys()


def detect_keys(path: str | Path, given: GivenKeys = NONE_GIVEN, like: LabelKeys | None = None) -> LabelKeys:
    """The names of the labels in an extended XYZ file, judged by its frames that are no isolated atoms.

    REF_ names go first, and beside them no stress of unknown name is taken; of the other known names one that all frames have goes
    before one that some have. Which frames lack a label, ``read_dataset`` says. Other names count only where no frame has a known
    one: a model's predictions may be in more frames than the labels. A virial without a stress is noted: it is not read.
    Raises InputError for a given name that no frame has, where there is no energy or no forces, where several could be meant, and
    where the only energy is not a total energy by its name.

    like: names that the labels were read by, where this is their test set: it is read by the same where it has them, and may lack a
    stress that was named; no other is taken for that one.
    """
    frames = read_frames(Path(path))
    proper = [atoms for atoms in frames if not is_isolated_atom(atoms)]
    everywhere = sorted({name for atoms in frames for name in _names(atoms)})
    counts = Counter(name for atoms in proper or frames for name in _names(atoms))
    common = [name for name in sorted(counts) if counts[name] == len(proper or frames)]
    if like is not None:
        given = _as_before(given, like, sorted(counts))
    found: dict[str, str | None] = {}
    for what in KNOWN:
        asked = getattr(given, what)
        may_lack = what == "stress" and like is not None
        if asked is not None and asked not in everywhere and not may_lack:
            raise InputError(
                f"{path} has no entry {asked!r}, which --{what}-key names; its entries are {', '.join(everywhere) or 'none'}"
                f"{nearest(asked, everywhere)}"
            )
        # with reference labels, a stress of unknown name is somebody's prediction
        stranger = what == "stress" and found["energy"] == REF_KEYS.energy
        names = [name for name in sorted(counts) if not stranger or name in KNOWN["stress"]]
        found[what] = asked or _choose(path, what, common, names)
    if found["energy"] is None:
        _refuse_other_energies(path, sorted(counts))
    missing = [what for what in ("energy", "forces") if found[what] is None and (proper or what == "energy")]
    if missing:
        raise InputError(
            f"{path} has no {' and no '.join(missing)}; its entries are {', '.join(sorted(counts)) or 'none'}: label its "
            f"structures, or name the entr{'ies' if len(missing) > 1 else 'y'} with "
            f"{' and '.join(f'--{what}-key' for what in missing)}"
        )
    virials = [name for name in counts if _fits(VIRIAL, name)]
    if virials and found["stress"] is None:
        warnings.warn(
            f"{path}: {virials[0]} is not read; for a stress give stress = -{virials[0]} / volume, in eV/Å³",
            stacklevel=2,
        )
    return LabelKeys(
        found["energy"] or REF_KEYS.energy, found["forces"] or REF_KEYS.forces, found["stress"] or REF_KEYS.stress
    )


def describe_keys(keys: LabelKeys, data: Sequence[LabelledStructure]) -> str:
    """One line: which entries of a file its labels are, and how many structures have a stress."""
    stressed = sum(item.stress is not None for item in data)
    share = "" if stressed == len(data) else f" ({stressed} of {len(data)} structures)"
    stress = f"stress from {keys.stress}{share}" if stressed else "no stress"
    return f"energy from {keys.energy}, forces from {keys.forces}, {stress}"


def _as_before(given: GivenKeys, like: LabelKeys, names: Sequence[str]) -> GivenKeys:
    """With the names of other labels where these are there too: energy and forces together, since they belong together."""
    if like.energy in names and like.forces in names:
        given = replace(given, energy=like.energy, forces=like.forces)
    return replace(given, stress=like.stress) if like.stress in names else given


def _choose(path: str | Path, what: str, common: Sequence[str], names: Sequence[str]) -> str | None:
    known = [name for name in KNOWN[what] if name in names]
    if known and known[0] == getattr(REF_KEYS, what):
        # where a file has reference labels, ASE's names are somebody's predictions
        return known[0]
    if known:
        return next((name for name in known if name in common), known[0])
    like = [name for name in names if _fits(LOOKS_LIKE[what], name) and not (what == "energy" and _is_not_total(name))]
    if len(like) > 1:
        raise InputError(
            f"{path} has several entries that may be the {what}: {', '.join(like)}; name one with --{what}-key"
        )
    return like[0] if like else None


def _refuse_other_energies(path: str | Path, names: Sequence[str]) -> None:
    other = [name for name in names if _fits(LOOKS_LIKE["energy"], name)]
    if other:
        raise InputError(
            f"{path} has no total energy by the names of its entries, only {', '.join(other)}; expected the total energy in eV. "
            f"If it is one, say so with --energy-key {other[0]}"
        )


def _is_not_total(name: str) -> bool:
    """Whether one of the words of a name is in ``NOT_TOTAL``: "strain" is, in StrainEnergy, but not in constrained_energy."""
    # "energy" is a word wherever it stands, as in formationenergy
    rest = re.sub(r"(?i)energ(y|ies)", "_", name)
    rest = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z]+", "_", rest).lower()
    words = [word for word in rest.split("_") if word]
    pairs = [f"{one}_{two}" for one, two in pairwise(words)]
    return not NOT_TOTAL.isdisjoint([*words, *pairs])


def _fits(pattern: str, name: str) -> bool:
    return re.search(pattern, name, flags=re.IGNORECASE) is not None


def _names(atoms: Atoms) -> list[str]:
    own = {"numbers", "positions"}
    return sorted({*atoms.info, *atoms.arrays, *getattr(atoms.calc, "results", {})} - own)
