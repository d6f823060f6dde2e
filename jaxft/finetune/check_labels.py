"""What labelled structures must be like before a potential learns from them or is judged by them.

Reading files has checks of its own (``structures/dataset.py``); these are for labels from anywhere, and for what only
the potential and the loss can know: which elements there may be, and whether a stress is needed.
"""

from collections.abc import Sequence

import numpy as np

from jaxft.errors import InputError
from jaxft.structures.checks import check_structure
from jaxft.structures.dataset import LabelledStructure
from jaxft.structures.species import species_of


def check_labels(
    data: Sequence[LabelledStructure], atomic_numbers: Sequence[int], *, need_stress: bool = False
) -> None:
    """Raise InputError for what can't be learned from, naming the structure by its file and frame, or its place in ``data``.

    An empty set, unusable structures, elements outside ``atomic_numbers``, labels that are not finite or of the wrong
    shape, a stress on a structure that is not fully periodic; with ``need_stress`` also a structure without one: a
    missing stress is never taken for zero.
    """
    if len(data) == 0:
        raise InputError("there are no labelled structures; expected at least one")
    for place, item in enumerate(data):
        what = f"{item.where or f'labelled structure {place}'} ({item.atoms.get_chemical_formula()})"
        check_structure(item.atoms, what)
        try:
            species_of(item.atoms.numbers, atomic_numbers)
        except InputError as error:
            raise InputError(f"{what}: {error}") from None
        if not np.isfinite(item.energy):
            raise InputError(
                f"{what} has energy {item.energy} eV; expected a finite number; remove it or label it again"
            )
        _check_array(what, "forces", item.forces, (len(item.atoms), 3), "eV/Å")
        if item.stress is not None:
            _check_array(what, "stress", item.stress, (3, 3), "eV/Å³")
            if not item.atoms.pbc.all():
                raise InputError(
                    f"{what} has a stress, but pbc is {item.atoms.pbc.tolist()}; a stress needs a cell that is "
                    "periodic in all three directions: set pbc or drop the stress"
                )
        elif need_stress and not item.atoms.pbc.all():
            raise InputError(
                f"{what} has no stress, since a cell with pbc {item.atoms.pbc.tolist()} has none (one in the file is left out), "
                "but weights.stress is above 0; a set with slabs or molecules in it needs finetune.weights.stress: 0"
            )
        elif need_stress:
            raise InputError(
                f"{what} has no stress, but weights.stress is above 0; label its stress, or set the weight to 0"
            )


def _check_array(what: str, name: str, value: np.ndarray, shape: tuple[int, ...], unit: str) -> None:
    value = np.asarray(value)
    if value.shape != shape:
        raise InputError(f"{what} has {name} of shape {value.shape}, expected {shape} in {unit}")
    if not np.isfinite(value).all():
        first = np.argwhere(~np.isfinite(value))[0].tolist()
        raise InputError(
            f"{what} has {name} that are not finite (first at index {first}: {value[tuple(first)]}); "
            "remove it or label it again"
        )
