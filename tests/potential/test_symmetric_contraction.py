"""Symmetric couplings: as many as theory counts, equivariant, orthogonal, complete; the contraction is their dense sum."""

from itertools import permutations

import e3nn_jax as e3nn
import numpy as np
import pytest

from jaxft.potential.symmetric_basis import fold, n_paths, symmetric_couplings
from jaxft.potential.symmetric_contraction import symmetric_polynomials

IRREPS = [e3nn.Irrep(ir) for ir in ("0e", "1o", "2e")]


def dense(lmax: int, degree: int, ir: e3nn.Irrep) -> np.ndarray:
    """All couplings as symmetric tensors over all components: (paths, m, (lmax+1)², …)."""
    components = (lmax + 1) ** 2
    found = []
    for coupling in symmetric_couplings(lmax, degree, ir):
        arrangements = sorted(set(permutations(coupling.orders)))
        for path in coupling.tensor:
            full = np.zeros((2 * ir.l + 1, *(components,) * degree))
            for arrangement in arrangements:
                place = np.argsort(np.argsort(arrangement, kind="stable"))
                blocks = tuple(slice(order**2, (order + 1) ** 2) for order in arrangement)
                full[(slice(None), *blocks)] += path.transpose(0, *(1 + p for p in place)) / len(arrangements)
            found.append(full)
    return np.stack(found)


@pytest.mark.parametrize(("ir", "counts"), [("0e", (1, 4, 8)), ("1o", (1, 3, 12)), ("2e", (1, 5, 14))])
def test_there_are_as_many_couplings_as_in_a_reduced_basis(ir, counts):
    found = tuple(n_paths(3, degree, e3nn.Irrep(ir)) - n_paths(3, degree - 1, e3nn.Irrep(ir)) for degree in (1, 2, 3))
    assert found == counts


@pytest.mark.parametrize("ir", IRREPS)
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_couplings_are_symmetric_orthogonal_and_normalised(ir, degree):
    tensors = dense(2, degree, ir)
    for order in permutations(range(degree)):
        np.testing.assert_allclose(tensors.transpose(0, 1, *(2 + o for o in order)), tensors, atol=1e-14)
    flat = tensors.reshape(len(tensors), -1)
    np.testing.assert_allclose(flat @ flat.T, (2 * ir.l + 1) * np.eye(len(flat)), atol=1e-12)


@pytest.mark.parametrize("ir", IRREPS)
@pytest.mark.parametrize("degree", [2, 3])
def test_couplings_are_equivariant(ir, degree):
    angles = (0.3, -1.1, 2.0)
    rotation = np.asarray(e3nn.s2_irreps(2).D_from_angles(*angles))
    turned = dense(2, degree, ir)
    for axis in range(degree):
        turned = np.moveaxis(np.tensordot(turned, rotation, (2 + axis, 0)), -1, 2 + axis)
    after = np.einsum("mn,qn...->qm...", np.asarray(ir.D_from_angles(*angles)).T, turned.reshape(turned.shape))
    np.testing.assert_allclose(after, dense(2, degree, ir), atol=1e-12)


@pytest.mark.parametrize("ir", IRREPS)
def test_polynomials_are_what_the_dense_tensors_give(ir):
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(2 * order + 1, 3, 2)) for order in range(3)]
    x = np.concatenate(factors)
    (values,) = symmetric_polynomials(factors, 3, [ir])
    expected = [
        np.einsum("qmi,inc->qmnc", dense(2, 1, ir), x),
        np.einsum("qmij,inc,jnc->qmnc", dense(2, 2, ir), x, x),
        np.einsum("qmijk,inc,jnc,knc->qmnc", dense(2, 3, ir), x, x, x),
    ]
    np.testing.assert_allclose(values, np.concatenate(expected), atol=1e-12)


def test_folding_keeps_the_polynomial_of_any_couplings():
    """Unsymmetric products of two couplings, as in the U matrices of MACE, folded into our basis."""
    ir = e3nn.Irrep("1o")
    rng = np.random.default_rng(1)
    pair = dense(2, 2, e3nn.Irrep("0e"))[:, 0]
    vector = dense(2, 1, ir)[0]
    # (m, i, j, k, paths): scalar pair of (i, j) times the vector of k, in an order that is not symmetric
    matrix = np.stack([np.einsum("ij,mk->mijk", one, vector) for one in pair], axis=-1)
    coefficients, left = fold(symmetric_couplings(2, 3, ir), matrix)
    assert left < 1e-14
    x = rng.normal(size=9)
    expected = np.einsum("mijkq,i,j,k->qm", matrix, x, x, x)
    ours = np.einsum("pmijk,i,j,k->pm", dense(2, 3, ir), x, x, x)
    np.testing.assert_allclose(coefficients.T @ ours, expected, atol=1e-12)


def test_what_is_not_equivariant_is_left_over():
    matrix = np.random.default_rng(2).normal(size=(1, 9, 9, 4))
    assert fold(symmetric_couplings(2, 2, e3nn.Irrep("0e")), matrix)[1] > 0.5
