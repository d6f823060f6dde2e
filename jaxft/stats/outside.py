"""How much of one set of points lies where another set has none: by nearest neighbor, and by the cells of a grid.

A point is outside a set if none of the set is within a radius of it. The radius belongs to the study, not to the pair: it is what
separates halves of one set, so that sets are compared by one measure and each share stands beside its null.
"""

import numpy as np
from jaxtyping import Bool, Float
from sklearn.neighbors import NearestNeighbors

GRID = 50
"""Cells along each axis of the picture's grid."""


def nearest_distance(
    points: Float[np.ndarray, "points axes"], among: Float[np.ndarray, "others axes"]
) -> Float[np.ndarray, "points"]:
    """Euclidean distance of each point to the nearest of the others; infinite where there are none."""
    if len(among) == 0:
        return np.full(len(points), np.inf)
    if len(points) == 0:
        return np.zeros(0)
    found = NearestNeighbors(n_neighbors=1).fit(among).kneighbors(points)[0]
    return found[:, 0]


def radius_between(
    one: Float[np.ndarray, "points axes"], other: Float[np.ndarray, "others axes"], share: float
) -> float:
    """The radius within which ``share`` of the points of either half have a neighbor in the other half."""
    distances = np.concatenate([nearest_distance(one, other), nearest_distance(other, one)])
    return float(np.quantile(distances, share))


def occupied_cells(
    points: Float[np.ndarray, "points 2"], edges: tuple[Float[np.ndarray, "x"], Float[np.ndarray, "y"]]
) -> Bool[np.ndarray, "nx ny"]:
    """Which cells of a grid hold a point."""
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=edges)
    return counts > 0


def share_outside_cells(
    points: Float[np.ndarray, "points 2"],
    among: Float[np.ndarray, "others 2"],
    edges: tuple[Float[np.ndarray, "x"], Float[np.ndarray, "y"]],
) -> float:
    """Share of the points in cells of the grid where the others have none; points off the grid are outside."""
    occupied = np.pad(occupied_cells(among, edges), 1)
    x, y = (np.searchsorted(edge, points[:, axis], side="right") for axis, edge in enumerate(edges))
    return float(1.0 - occupied[x, y].mean())
