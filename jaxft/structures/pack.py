"""A liquid's first box: rigid molecules and ions at random in a periodic cube, without overlaps.

At the density of a liquid, dropping molecules one by one gets stuck. Here all of them are dropped at once, at random
places and turned at random, and then pushed apart: soft spheres on rigid bodies, minimised by L-BFGS. The box is a
start for a relaxation and an equilibration, not a sample of the liquid.
"""

import shutil
from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from jaxft.errors import InputError
from jaxft.structures import packmol
from jaxft.structures.composition import Body, box_edge, parse_composition
from jaxft.structures.contacts import minimum_distances
from jaxft.structures.neighbors import find_edges

METHODS = ("built-in", "packmol", "auto")
STARTS_PER_SCALE = 2
"""Random starts that are tried before the minimum distances are let shrink."""
SHRINK = 0.96
MARGIN = 1.01
"""Spheres are pushed a little further apart than asked for, because the minimiser comes from below."""


def pack(
    composition: Mapping[str, int],
    density_g_cm3: float,
    seed: int,
    *,
    tolerance: float = 0.25,
    method: str = "built-in",
) -> Atoms:
    """A periodic cubic box of the composition at this density; molecules stay whole and keep their exact geometry.

    Atoms of different bodies (periodic images included) are at least ``minimum_distances`` apart, times a scale that
    begins at 1 and shrinks in steps of 4 % when several random starts fail, never below 1 - ``tolerance``. Atoms come
    in the order of the composition, the bodies' centres inside the box, without calculator and magnetic moments.

    seed: the only randomness. One machine with one set of versions gives equal bytes; elsewhere rounding may differ.
    method: ``built-in``, the default because it needs no other program, so that a seed means the same packing
    wherever it runs; ``packmol`` takes that program's packing as the start and pushes it apart in the same way
    (packmol's walls are not periodic); ``auto`` is packmol where it is installed, else built-in: not reproducible
    across machines.
    Raises InputError where the composition is not understood, or nothing fits at this density.
    """
    if method not in METHODS:
        raise InputError(f"packing method {method!r} is not one of {', '.join(METHODS)}")
    if not 0.0 <= tolerance < 1.0:
        raise InputError(f"packing tolerance is {tolerance}; expected a share from 0 up to (not including) 1")
    if method == "packmol" and shutil.which("packmol") is None:
        raise InputError("packmol is not installed (no such program in PATH); install it or use method 'built-in'")
    bodies = parse_composition(composition)
    edge = box_edge(composition, density_g_cm3)
    rng = np.random.default_rng(seed)
    use_packmol = method != "built-in" and shutil.which("packmol") is not None
    liquid = _Liquid(bodies, edge)

    scale = 1.0
    while True:
        for _ in range(STARTS_PER_SCALE):
            if use_packmol:
                centres, turns = packmol.place(bodies, edge, seed=int(rng.integers(1, 2**31 - 1)))
            else:
                centres, turns = _scatter(len(bodies), edge, rng)
            centres, turns = liquid.push_apart(centres, turns, scale * MARGIN)
            positions = liquid.positions(centres % edge, turns)
            if liquid.overlap(positions, scale) == 0.0:
                return Atoms(liquid.numbers, positions, cell=[edge] * 3, pbc=True)
        if scale <= 1.0 - tolerance:
            raise InputError(
                f"could not pack {len(liquid.numbers)} atoms at density_g_cm3 = {density_g_cm3:g} ({edge:.2f} Å cube) "
                f"even with contacts {1 - scale:.0%} shorter than usual; lower the density or give structure: start.xyz"
            )
        scale = max(scale * SHRINK, 1.0 - tolerance)


class _Liquid:
    """The bodies as flat arrays, and the soft-sphere energy of a placement of them.

    U = Σ max(0, s d_ab - r_ij)² over pairs of atoms in different bodies, or in different images of one, each pair once.
    """

    def __init__(self, bodies: Sequence[Body], edge: float) -> None:
        self.numbers: Int[np.ndarray, "atoms"] = np.concatenate([body.numbers for body in bodies])
        self._local: Float[np.ndarray, "atoms 3"] = np.concatenate([body.positions for body in bodies])
        self._body: Int[np.ndarray, "atoms"] = np.repeat(np.arange(len(bodies)), [len(b.numbers) for b in bodies])
        elements, self._element = np.unique(self.numbers, return_inverse=True)
        self._distances = minimum_distances(elements.tolist())
        self._cell = edge * np.eye(3)

    def positions(self, centres: Float[np.ndarray, "bodies 3"], turns: Rotation) -> Float[np.ndarray, "atoms 3"]:
        """Atoms of the bodies, each turned about its centre."""
        return turns[self._body].apply(self._local) + centres[self._body]

    def overlap(self, positions: Float[np.ndarray, "atoms 3"], scale: float) -> float:
        """The soft-sphere energy in Å²; exactly zero where no pair is too near."""
        return self._energy_and_gradient(positions, scale)[0]

    def push_apart(
        self, centres: Float[np.ndarray, "bodies 3"], turns: Rotation, scale: float
    ) -> tuple[Float[np.ndarray, "bodies 3"], Rotation]:
        """Minimise the soft-sphere energy over centres and rotation vectors, from the given placement."""
        n = len(centres)

        def objective(x: Float[np.ndarray, "unknowns"]) -> tuple[float, Float[np.ndarray, "unknowns"]]:
            moved, vectors = x.reshape(2, n, 3)
            positions = self.positions(moved, Rotation.from_rotvec(vectors) * turns)
            energy, gradient = self._energy_and_gradient(positions, scale)
            arms = positions - moved[self._body]
            force = _sum_by(self._body, gradient, n)
            torque = _sum_by(self._body, np.cross(arms, gradient), n)
            return energy, np.concatenate([force, rotation_gradient(vectors, torque)]).ravel()

        start = np.concatenate([centres, np.zeros((n, 3))]).ravel()
        options = {"maxiter": 300, "ftol": 0.0, "gtol": 1e-6}
        moved, vectors = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x.reshape(2, n, 3)
        return moved, Rotation.from_rotvec(vectors) * turns

    def _energy_and_gradient(
        self, positions: Float[np.ndarray, "atoms 3"], scale: float
    ) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        edges = find_edges(positions, self._cell, np.ones(3, dtype=bool), scale * float(self._distances.max()))
        i, j, shifts = edges.receivers, edges.senders, edges.shifts
        vectors = positions[j] - positions[i] + shifts @ self._cell
        lengths = np.linalg.norm(vectors, axis=1)
        depth = scale * self._distances[self._element[i], self._element[j]] - lengths
        counts = (depth > 0) & ((self._body[i] != self._body[j]) | shifts.any(axis=1))
        depth, vectors, lengths, i = depth[counts], vectors[counts], lengths[counts], i[counts]
        # each pair is met from both ends: half the energy here, and the full gradient on the receiver
        gradient = _sum_by(i, (2.0 * depth / np.maximum(lengths, 1e-12))[:, None] * vectors, len(positions))
        return 0.5 * float(np.sum(depth**2)), gradient


def rotation_gradient(
    vectors: Float[np.ndarray, "bodies 3"], torque: Float[np.ndarray, "bodies 3"]
) -> Float[np.ndarray, "bodies 3"]:
    """Gradient with respect to rotation vectors w from the torque Σ (r - c) × ∂U/∂r: Jᵀ(w) times the torque.

    J(w) = (sin θ/θ) 1 + (1 - sin θ/θ) a aᵀ + ((1 - cos θ)/θ) [a]×, with θ = |w| and a = w/θ: the left Jacobian of SO(3)
    (for instance T. Barfoot, State Estimation for Robotics, equation 7.77).
    """
    angle = np.linalg.norm(vectors, axis=1, keepdims=True)
    axis = vectors / np.maximum(angle, 1e-12)
    sine = np.sinc(angle / np.pi)
    # (1 - cos θ)/θ = sin(θ/2) · sinc(θ/2), with no cancellation at small angles
    cosine = np.sin(angle / 2) * np.sinc(angle / (2 * np.pi))
    along = np.sum(axis * torque, axis=1, keepdims=True)
    return sine * torque + (1.0 - sine) * along * axis - cosine * np.cross(axis, torque)


def _scatter(n: int, edge: float, rng: np.random.Generator) -> tuple[Float[np.ndarray, "bodies 3"], Rotation]:
    """Centres uniform in the box; orientations uniform over rotations (normalised Gaussian quaternions)."""
    return rng.uniform(0.0, edge, (n, 3)), Rotation.from_quat(rng.normal(size=(n, 4)))


def _sum_by(index: Int[np.ndarray, "items"], values: Float[np.ndarray, "items 3"], n: int) -> Float[np.ndarray, "n 3"]:
    return np.stack([np.bincount(index, weights=values[:, k], minlength=n) for k in range(3)], axis=1)
