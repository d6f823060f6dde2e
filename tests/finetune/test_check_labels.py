"""Labels that can't be learned from are refused, with the structure named."""

from dataclasses import replace

import numpy as np
import pytest

from jaxft.errors import InputError
from jaxft.finetune.check_labels import check_labels


def changed(labels, place, **changes):
    return [replace(item, **changes) if k == place else item for k, item in enumerate(labels)]


def test_good_labels_pass(labels):
    check_labels(labels, (1, 8), need_stress=True)


def test_empty_set_is_refused():
    with pytest.raises(InputError, match="no labelled structures"):
        check_labels([], (1, 8))


def test_nan_energy_is_named(labels):
    with pytest.raises(InputError, match=r"structure 2 \(H3O\) has energy nan"):
        check_labels(changed(labels, 2, energy=float("nan")), (1, 8))


def test_nan_force_is_named(labels):
    forces = labels[1].forces.copy()
    forces[2, 1] = np.nan
    with pytest.raises(InputError, match=r"structure 1 \(H2O\) has forces .*\[2, 1\]"):
        check_labels(changed(labels, 1, forces=forces), (1, 8))


def test_forces_of_another_shape_are_refused(labels):
    with pytest.raises(InputError, match=r"forces of shape \(1, 3\), expected \(2, 3\)"):
        check_labels(changed(labels, 0, forces=labels[0].forces[:1]), (1, 8))


def test_missing_stress_is_refused_only_where_it_is_asked_for(labels):
    partly = changed(labels, 3, stress=None)
    check_labels(partly, (1, 8))
    with pytest.raises(InputError, match=r"structure 3 \(HO2\) has no stress"):
        check_labels(partly, (1, 8), need_stress=True)


def test_a_slab_among_bulk_is_not_asked_for_a_stress_that_it_can_not_have(labels):
    slab = labels[2].atoms.copy()
    slab.pbc = (True, True, False)
    with pytest.raises(
        InputError, match=r"structure 2 .*pbc \[True, True, False\].*needs finetune.weights.stress: 0"
    ) as error:
        check_labels(changed(labels, 2, atoms=slab, stress=None), (1, 8), need_stress=True)
    assert "label its stress" not in str(error.value)


def test_stress_of_a_slab_is_refused(labels):
    slab = labels[0].atoms.copy()
    slab.pbc = (True, True, False)
    with pytest.raises(InputError, match="has a stress, but pbc"):
        check_labels(changed(labels, 0, atoms=slab), (1, 8))


def test_unknown_element_is_refused(labels):
    with pytest.raises(InputError, match=r"labelled structure 0 \(HO\): .* does not know O"):
        check_labels(labels, (1, 6))


def test_a_structure_of_a_file_is_named_by_its_frame(labels):
    with pytest.raises(InputError, match=r"^waters.extxyz frame 7 \(HO\): .* does not know O"):
        check_labels(changed(labels, 0, where="waters.extxyz frame 7"), (1, 6))
