"""Symmetric couplings: all equivariant polynomials of one degree in features that carry one irrep for each l.

A polynomial of degree ν into an irrep of order L is a tensor T with

    P_m(x) = Σ T_m,i1..iν x_l1,i1 … x_lν,iν        for a multiset of orders l1 ≤ … ≤ lν,

symmetric where orders are equal. For each multiset this file gives an orthogonal basis of such tensors, made by chaining
Clebsch-Gordan coefficients, symmetrising, and Gram-Schmidt in a fixed order, so that it is the same on every machine and
weights can be stored for it. ``fold`` expresses a foreign, redundant set of couplings (the U matrices of MACE) in this basis.
Source: Batatia et al. (arXiv 2206.07697), eqs. 10, 11; Dusson et al. (arXiv 1911.03550) for the symmetrised basis.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations_with_replacement, permutations
from typing import NamedTuple

import e3nn_jax as e3nn
import numpy as np
from jaxtyping import Float

INDEPENDENT = 1e-6
"""A symmetrised tensor is new where this share of its norm lies outside the span of those before it."""


class Coupling(NamedTuple):
    """The couplings of one multiset of orders.

    orders  (l1, …, lν), ascending
    tensor  (paths, 2L+1, 2 l1+1, …, 2 lν+1); the squared norm of each path is (2L+1) times the number of distinct orderings
            of the multiset, so that the tensor over all components has squared norm 2L+1, as U matrices have
    """

    orders: tuple[int, ...]
    tensor: Float[np.ndarray, "paths m *components"]


@lru_cache
def symmetric_couplings(lmax: int, degree: int, ir: e3nn.Irrep) -> tuple[Coupling, ...]:
    """All symmetric couplings of ``degree`` factors of orders 0..lmax, with parity (-1)^l, into the irrep ``ir``."""
    found = []
    for orders in combinations_with_replacement(range(lmax + 1), degree):
        if (-1) ** sum(orders) == ir.p:
            basis = _orthogonal([_symmetrised(t, orders) for t in _chains(orders, ir.l)])
            if basis:
                norm = np.sqrt((2 * ir.l + 1) * len(set(permutations(orders))))
                found.append(Coupling(orders, norm * np.stack(basis)))
    return tuple(found)


def n_paths(lmax: int, correlation: int, ir: e3nn.Irrep) -> int:
    """How many couplings of degree 1 to ``correlation`` there are."""
    return sum(len(c.tensor) for degree in range(1, correlation + 1) for c in symmetric_couplings(lmax, degree, ir))


def fold(
    couplings: tuple[Coupling, ...], matrix: Float[np.ndarray, "m *components paths"]
) -> tuple[Float[np.ndarray, "ours paths"], float]:
    """Foreign couplings in our basis: A with  U_k ≅ Σ_q A_qk T_q  as polynomials, and the share of U's norm left over.

    matrix: U (2L+1, (lmax+1)², …, paths), any symmetric or unsymmetric couplings, each component index over all orders.
    """
    rows, left, total = [], 0.0, 0.0
    degree = matrix.ndim - 2
    lmax = int(np.sqrt(matrix.shape[1])) - 1
    ours = {coupling.orders: coupling.tensor for coupling in couplings}
    for orders in combinations_with_replacement(range(lmax + 1), degree):
        block = _symmetrised(_gathered(matrix, orders), orders)
        total += float((block**2).sum())
        if orders in ours:
            basis = ours[orders].reshape(len(ours[orders]), -1)
            flat = block.reshape(-1, block.shape[-1])
            rows.append((basis @ flat) / (basis**2).sum(axis=1, keepdims=True))
            block = flat - basis.T @ rows[-1]
        left += float((block**2).sum())
    coefficients = np.concatenate(rows) if rows else np.zeros((0, matrix.shape[-1]))
    return coefficients, np.sqrt(left / total) if total > 0.0 else 0.0


def _chains(orders: tuple[int, ...], l_out: int) -> Iterator[Float[np.ndarray, "m *components"]]:
    """Tensors of all ways to couple one factor after the other, ending in order ``l_out``."""
    partial = [(orders[0], np.eye(2 * orders[0] + 1))]
    for l_next in orders[1:]:
        partial = [
            (l_mid, _coupled(tensor, l_before, l_next, l_mid))
            for l_before, tensor in partial
            for l_mid in range(abs(l_before - l_next), l_before + l_next + 1)
        ]
    return (tensor for l_mid, tensor in partial if l_mid == l_out)


def _coupled(tensor: np.ndarray, l1: int, l2: int, l_out: int) -> np.ndarray:
    """(i, components...) of order l1 with one more factor of order l2: (m, components..., j), component-normalised."""
    coefficients = np.asarray(e3nn.clebsch_gordan(l1, l2, l_out)) * np.sqrt(2 * l_out + 1)
    return np.einsum("ijm,i...->m...j", coefficients, tensor)


def _symmetrised(tensor: np.ndarray, orders: tuple[int, ...]) -> np.ndarray:
    """Mean over all exchanges of factors of equal order; axis 0 and axes after the factors stay where they are."""
    degree = len(orders)
    kept = [p for p in permutations(range(degree)) if all(orders[a] == orders[b] for a, b in enumerate(p))]
    trailing = range(degree + 1, tensor.ndim)
    return np.mean([tensor.transpose(0, *(1 + a for a in p), *trailing) for p in kept], axis=0)


def _orthogonal(tensors: list[np.ndarray]) -> list[np.ndarray]:
    """Gram-Schmidt in the order given, twice for accuracy; unit norms."""
    basis: list[np.ndarray] = []
    for tensor in tensors:
        size = float(np.linalg.norm(tensor))
        rest = tensor
        for _ in range(2):
            for other in basis:
                rest = rest - float((rest * other).sum()) * other
        if size > 0.0 and np.linalg.norm(rest) > INDEPENDENT * max(size, 1.0):
            basis.append(rest / np.linalg.norm(rest))
    return basis


def _gathered(matrix: np.ndarray, orders: tuple[int, ...]) -> np.ndarray:
    """Sum of the blocks of ``matrix`` over all orderings of the multiset, each brought into ascending order."""
    total: np.ndarray | None = None
    for arrangement in sorted(set(permutations(orders))):
        blocks = tuple(slice(order**2, (order + 1) ** 2) for order in arrangement)
        block = matrix[(slice(None), *blocks)]
        ascending = np.argsort(arrangement, kind="stable")
        block = block.transpose(0, *(1 + a for a in ascending), block.ndim - 1)
        total = block if total is None else total + block
    assert total is not None
    return total
