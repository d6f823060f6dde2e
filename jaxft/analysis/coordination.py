"""How many neighbors an element has, over time: the number with its error, its distribution, and what the first shell is made of.

Counted frame by frame within one distance per ligand, as g(r) is integrated; by default halfway between the limits of a bond.
Changes that last are ``events.py``'s part.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jaxft.analysis.bond_events import shell_formula
from jaxft.analysis.bond_limits import BondSettings, find_limits
from jaxft.analysis.estimate import Estimate, pool
from jaxft.analysis.frames import Frames
from jaxft.analysis.pair_distances import segments
from jaxft.errors import InputError
from jaxft.stats.series import integrated_time


@dataclass(frozen=True, eq=False)
class CoordinationSeries:
    """Ligands of each center in each frame.

    center    its element
    centers   (centers,) indices of its atoms
    ligands   elements that were counted
    cutoffs   Å, of each of them
    counts    (frames, centers, ligands)
    frame_fs  spacing of the frames
    """

    center: str
    centers: Int[np.ndarray, "centers"]
    ligands: tuple[str, ...]
    cutoffs: tuple[float, ...]
    counts: Int[np.ndarray, "frames centers ligands"]
    frame_fs: float

    @property
    def numbers(self) -> Int[np.ndarray, "frames centers"]:
        """Coordination number, all ligands together."""
        return self.counts.sum(axis=2)


@dataclass(frozen=True)
class Coordination:
    """Coordination of an element in some runs.

    center     its element
    cutoffs    Å, of each ligand
    number     mean over centers and frames, all ligands together
    by_ligand  the same of each ligand
    shares     of centers and frames that have a coordination number, in increasing order: (number, share)
    shells     likewise of first shells, most frequent first: (formula, share), like ("CoCl3O", 0.8)
    n_frames   in all runs together
    """

    center: str
    cutoffs: Mapping[str, float]
    number: Estimate
    by_ligand: Mapping[str, Estimate]
    shares: tuple[tuple[int, float], ...]
    shells: tuple[tuple[str, float], ...]
    n_frames: int


def coordination_series(
    frames: Frames,
    center: str,
    cutoffs: Mapping[str, float] | None = None,
    settings: BondSettings | None = None,
) -> CoordinationSeries:
    """Count the ligands of all atoms of element ``center``, periodic images included.

    cutoffs: Å, of the elements to count; by default every element whose bonds with ``center`` ``settings`` (or its default)
    follows, within the middle of its limits. Raises InputError where there is no such center, or no such ligand.
    """
    wanted = _default_cutoffs(frames, center, settings or BondSettings()) if cutoffs is None else dict(cutoffs)
    symbols = np.array(frames.symbols)
    present = np.unique(symbols).tolist()
    for element in (center, *wanted):
        if element not in present:
            raise InputError(
                f"coordination {center} by {', '.join(wanted)}: there is no {element} among {', '.join(present)}"
            )
    for element, cutoff in wanted.items():
        if not cutoff > 0.0:
            raise InputError(f"coordination of {center} by {element}: the distance is {cutoff} Å, expected more than 0")
    kinds, ligands = np.unique(frames.numbers), tuple(wanted)
    of_atom = {
        symbol: int(np.flatnonzero(kinds == z)[0]) for symbol, z in zip(frames.symbols, frames.numbers, strict=True)
    }
    reach = np.zeros((len(kinds), len(kinds)))
    for element, cutoff in wanted.items():
        row, column = of_atom[center], of_atom[element]
        reach[row, column] = reach[column, row] = cutoff
    centers = np.flatnonzero(symbols == center)
    place = np.full(len(symbols), -1)
    place[centers] = np.arange(len(centers))
    ligand = np.array([ligands.index(s) if s in ligands else -1 for s in symbols])
    counts = np.zeros((len(frames), len(centers), len(ligands)), dtype=np.int16)
    for segment in segments(frames, reach):
        i, j = segment.pairs[:, 0], segment.pairs[:, 1]
        rows = np.arange(len(segment.distances)) + segment.start - frames.start
        # a pair of two centers is a ligand to each of them
        for a, b in ((i, j), (j, i)):
            mine = (place[a] >= 0) & (ligand[b] >= 0)
            near = segment.distances[:, mine] < np.array([wanted[ligands[k]] for k in ligand[b[mine]]])
            np.add.at(counts, (rows[:, None], place[a[mine]], ligand[b[mine]]), near)
    return CoordinationSeries(
        center, centers, ligands, tuple(float(wanted[k]) for k in ligands), counts, frames.frame_fs
    )


def summarise_coordination(runs: Sequence[CoordinationSeries]) -> Coordination:
    """Pool runs (seeds) of the same element and cutoffs. Raises InputError where they differ, or where there is none."""
    if not runs:
        raise InputError("coordination needs at least one run; got none")
    first = runs[0]
    for run in runs[1:]:
        if (run.center, run.ligands, run.cutoffs) != (first.center, first.ligands, first.cutoffs):
            raise InputError(
                f"coordination of {run.center} by {dict(zip(run.ligands, run.cutoffs, strict=True))} can't be pooled with "
                f"that of {first.center} by {dict(zip(first.ligands, first.cutoffs, strict=True))}"
            )
    n = sum(run.numbers.size for run in runs)
    numbers, shells = Counter[int](), Counter[str]()
    for run in runs:
        kinds, times = np.unique(run.counts.reshape(-1, len(run.ligands)), axis=0, return_counts=True)
        for kind, count in zip(kinds.tolist(), times.tolist(), strict=True):
            numbers[sum(kind)] += count
            shells[_formula(run, kind)] += count
    return Coordination(
        center=first.center,
        cutoffs=dict(zip(first.ligands, first.cutoffs, strict=True)),
        number=_estimate([run.numbers.mean(axis=1) for run in runs]),
        by_ligand={
            name: _estimate([run.counts[:, :, k].mean(axis=1) for run in runs]) for k, name in enumerate(first.ligands)
        },
        shares=tuple((number, numbers[number] / n) for number in sorted(numbers)),
        shells=tuple(
            (shell, count / n) for shell, count in sorted(shells.items(), key=lambda item: (-item[1], item[0]))
        ),
        n_frames=sum(len(run.counts) for run in runs),
    )


def shell_series(series: CoordinationSeries) -> list[list[str]]:
    """First shell of each center in each frame, as formulas."""
    return [[_formula(series, counts) for counts in frame] for frame in series.counts.tolist()]


def _formula(series: CoordinationSeries, counts: Sequence[int]) -> str:
    return shell_formula(series.center, [s for s, n in zip(series.ligands, counts, strict=True) for _ in range(n)])


def _estimate(groups: Sequence[Float[np.ndarray, "_"]]) -> Estimate:
    effective = [len(g) / (2.0 * integrated_time(g)) if len(g) > 1 else float(len(g)) for g in groups]
    return pool(groups, effective).estimate()


def _default_cutoffs(frames: Frames, center: str, settings: BondSettings) -> dict[str, float]:
    limits = [pair for pair in find_limits(frames.numbers, settings) if center in pair.elements]
    if not limits:
        present = ", ".join(sorted(set(frames.symbols)))
        raise InputError(
            f"nothing among {present} has bonds with {center} that are followed; give distances for the ligands to count"
        )
    return {pair.elements[1] if pair.elements[0] == center else pair.elements[0]: pair.middle for pair in limits}
