"""Where the reference energies of a fine-tune come from: refitted, kept, from isolated atoms, or given.

refit     an offset per element, fitted to labels minus base energies (``offset.py``); the default, and the only one that needs
          nothing but the labels
keep      those of the base: for labels of the method that the base was trained on
isolated  so that an isolated atom gets the reference's energy before training: E_label(atom) minus what the base's network says of
          one atom alone. Training moves that by what the labels leave open, some 10 meV
given     element → eV, taken as they are

Those of isolated atoms and given ones hold for elements that the labels lack, too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from jaxft.errors import InputError
from jaxft.finetune.offset import CompositionOffset, fit_offset
from jaxft.finetune.predict_set import predict_set
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import LabelledStructure


def offset_for(
    references: str | Mapping[str, float],
    base: Potential,
    data: Sequence[LabelledStructure],
    *,
    isolated: Mapping[int, float] | None = None,
    n_effective: float | None = None,
    dtype: str = "float32",
) -> CompositionOffset:
    """The offset that a fine-tune adds to the base's reference energies.

    references  as in FinetuneSettings.reference_energies
    isolated    atomic number → energy (eV) of an isolated atom by the reference

    Raises InputError where an element of the data has no energy.
    """
    check_references(references, data, isolated)
    structures = [item.atoms for item in data]
    present = sorted({int(z) for atoms in structures for z in atoms.numbers})
    if references == "refit":
        labels = np.array([float(item.energy) for item in data])
        return fit_offset(structures, labels - predict_set(base, structures, dtype=dtype).energies, n_effective)
    if references == "keep":
        return _fixed(present, dict.fromkeys(present, 0.0), len(data))
    given = _energies_of(references, isolated)
    # elements that the labels lack are shifted too where their energy is known: they may be in other sets
    present = sorted({*present, *given} & {*base.atomic_numbers})
    if references == "isolated":
        # the base's total energy of an atom is its reference energy plus what its network says: the shift makes it the label
        alone = predict_set(base, [Atoms(chemical_symbols[z]) for z in present], dtype=dtype)
        of_base = dict(zip(present, alone.energies, strict=True))
    else:
        of_base = dict(zip(base.atomic_numbers, np.asarray(base.reference_energies, np.float64), strict=True))
    return _fixed(present, {z: given[z] - of_base[z] for z in present}, len(data))


def check_references(
    references: str | Mapping[str, float], data: Sequence[LabelledStructure], isolated: Mapping[int, float] | None
) -> None:
    """Raise InputError where an element of the data has no energy among those that the settings ask for."""
    if references in ("refit", "keep"):
        return
    known = _energies_of(references, isolated)
    where = "finetune.reference_energies"
    if references == "isolated":
        where = "isolated atoms (label one of each, or use reference_energies: refit)"
    present = sorted({int(z) for item in data for z in item.atoms.numbers})
    missing = [chemical_symbols[z] for z in present if z not in known]
    if missing:
        raise InputError(f"{where}: no energy of {', '.join(missing)}, which the labelled structures contain")


def _energies_of(references: str | Mapping[str, float], isolated: Mapping[int, float] | None) -> Mapping[int, float]:
    """Atomic number → eV, of isolated atoms or as given."""
    if isinstance(references, str):
        return isolated or {}
    return {chemical_symbols.index(element): energy for element, energy in references.items()}


def _fixed(present: Sequence[int], shifts: Mapping[int, float], n_frames: int) -> CompositionOffset:
    """An offset that nothing was fitted for: each element determined, no error of estimation."""
    return CompositionOffset(
        atomic_numbers=tuple(present),
        shifts=np.array([shifts[z] for z in present], dtype=np.float64),
        row_space=np.eye(len(present)),
        singular_values=np.ones(len(present)),
        undetermined=(),
        residual_sd=None,
        n_frames=n_frames,
        n_effective=float(n_frames),
    )
