"""A potential of ours as the reference."""

import numpy as np
import pytest
from ase import Atoms

from jaxft.labels.key import settings_key
from jaxft.labels.reference import ReferenceSettings, check_reference, compute


@pytest.fixture
def teacher(tiny, tmp_path):
    tiny.save(tmp_path / "teacher")
    return ReferenceSettings("teacher", {"model": str(tmp_path / "teacher"), "dtype": "float64"})


def test_labels_are_what_the_potential_says(teacher, tiny, water):
    check_reference(teacher, water)
    label = compute(water, teacher)
    water.calc = tiny.calculator(dtype="float64")
    assert label.energy == pytest.approx(water.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(label.forces, water.get_forces(), atol=1e-9)
    np.testing.assert_allclose(label.stress, water.get_stress(voigt=False), atol=1e-12)


def test_an_element_that_it_does_not_know_is_a_failure(teacher):
    failure = compute(Atoms("HeO", positions=[[0, 0, 0], [0, 0, 2]]), teacher)
    assert failure.reason == "not supported"
    assert "He" in failure.detail


def test_its_identity_is_its_weights_not_their_place(teacher, tiny, tmp_path):
    tiny.save(tmp_path / "copy")
    copy = ReferenceSettings("teacher", {**teacher.settings, "model": str(tmp_path / "copy")})
    assert settings_key(copy) == settings_key(teacher)
    before = settings_key(teacher)
    (tmp_path / "teacher" / "params.safetensors").write_bytes(b"other weights")
    assert settings_key(teacher) != before
