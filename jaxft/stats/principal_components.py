"""Principal components of standardised columns, and how far a row lies from them: scores, Q residual, Hotelling's T².

With z = (x - m)/s on the kept columns, P the first k eigenvectors of the correlation matrix (columns) and λ its eigenvalues:

    t = Pᵀ z                    scores
    Q = ‖z - P t‖²              squared distance from the retained subspace (SPE); 0 where all components are retained
    T² = Σ_a t_a²/λ_a           squared distance from the mean inside it, in units of its spread

Source: J. Jackson & G. Mudholkar, Technometrics 21 (1979) 341; names as there. Rows are projected, never fitted again.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from jaxft.stats.moments import Moments

LEAST_SPREAD = 1e-3
"""Of the median SD: columns that spread less are constant for all purposes, and would blow noise up (protocol 6)."""

EXPLAINED = 0.9
"""Share of the variance that the retained components explain, unless there are too few rows for so many."""


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """A fitted model.

    mean, scale  (columns,) of all columns; scale is the SD
    kept         (columns,) which columns count
    axes         (kept, kept) eigenvectors as columns, the largest loading of each positive, in the order of
    eigenvalues  (kept,) descending, of the correlation matrix: they sum to the number of kept columns
    retained     k, how many axes are the model
    count        rows that it was fitted to
    """

    mean: Float[np.ndarray, "columns"]
    scale: Float[np.ndarray, "columns"]
    kept: Bool[np.ndarray, "columns"]
    axes: Float[np.ndarray, "kept kept"]
    eigenvalues: Float[np.ndarray, "kept"]
    retained: int
    count: int

    @property
    def explained(self) -> Float[np.ndarray, "kept"]:
        """Share of the variance along each axis."""
        return self.eigenvalues / self.eigenvalues.sum()

    def standardise(self, rows: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows kept"]:
        """z."""
        chosen = np.asarray(rows, dtype=np.float64)[..., self.kept]
        return (chosen - self.mean[self.kept]) / self.scale[self.kept]

    def scores(self, rows: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows retained"]:
        """t."""
        return self.standardise(rows) @ self.axes[:, : self.retained]

    def q(self, rows: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows"]:
        """Q, from the axes that are left out, which loses no digits where it is small."""
        return ((self.standardise(rows) @ self.axes[:, self.retained :]) ** 2).sum(axis=-1)

    def t2(self, rows: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows"]:
        """T²."""
        return (self.scores(rows) ** 2 / self.eigenvalues[: self.retained]).sum(axis=-1)


def principal_components(
    of: Moments, *, explained: float = EXPLAINED, at_most: int | None = None
) -> PrincipalComponents:
    """Fit to rows of which the moments are known; keeps the fewest components that explain the share, but ``at_most``.

    Raises ValueError where there are fewer than two rows, or no column varies.
    """
    covariance = of.covariance
    scale = np.sqrt(np.diag(covariance))
    varying = scale[scale > 0.0]
    if len(varying) == 0:
        raise ValueError(f"no column varies over the {of.count} rows; principal components need rows that differ")
    kept = scale > LEAST_SPREAD * float(np.median(varying))
    correlation = covariance[np.ix_(kept, kept)] / np.outer(scale[kept], scale[kept])
    ascending, vectors = np.linalg.eigh(correlation)
    eigenvalues, axes = np.maximum(ascending[::-1], 0.0), vectors[:, ::-1]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    share = np.cumsum(eigenvalues) / eigenvalues.sum()
    enough = int(np.searchsorted(share, explained - 1e-12) + 1)
    # directions without variance among the rows have no T² and belong to Q
    with_variance = int((eigenvalues > 1e-10 * eigenvalues[0]).sum())
    retained = min(enough, with_variance, kept.sum() if at_most is None else at_most)
    return PrincipalComponents(of.mean, scale, kept, axes, eigenvalues, int(retained), of.count)
