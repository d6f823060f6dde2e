"""From bonds that formed and broke to chemistry: which changes belong together, and what they are called.

A hydrogen that leaves one atom and joins another within a window is one proton transfer, not two events. A metal whose
first shell loses one ligand and gains another within the window changes once: a ligand exchange where the shell is the same
again (O for O), a coordination change where it is not (CoCl3O to CoCl4). Every change is part of exactly one event.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxft.analysis.bond_limits import COORDINATION, PairLimits
from jaxft.analysis.bonding import BondChange, Pair
from jaxft.analysis.event import (
    BOND_BROKEN,
    BOND_FORMED,
    COORDINATION_CHANGE,
    LIGAND_EXCHANGE,
    PROTON_TRANSFER,
    Clock,
    Event,
)
from jaxft.structures.contacts import NONMETALS

Neighbor = tuple[int, tuple[int, int, int]]
"""An atom and the image of it that is meant."""

Shell = frozenset[Neighbor]


class _Side(NamedTuple):
    """A change as the atom sees it that it is about: a metal, a hydrogen, else the first of both.

    kind: of the bond; after, after_other: shells of the center and of the other atom just after the change, made of bonds
    of this kind.
    """

    change: BondChange
    kind: str
    center: int
    other: Neighbor
    after: Shell
    after_other: Shell


def shell_formula(center: str, ligands: Iterable[str]) -> str:
    """First shell of an atom as a formula, ligands by name: CoCl3O. Only atoms that touch the center count."""
    names = list(ligands)
    counts = [(symbol, names.count(symbol)) for symbol in sorted(set(names))]
    return center + "".join(symbol + (str(n) if n > 1 else "") for symbol, n in counts)


def metal_shells(bonds: Iterable[Pair], symbols: Sequence[str], limits: Sequence[PairLimits]) -> dict[str, str]:
    """First shell of each metal atom whose bonds are followed, like {"Co0": "CoCl3O"}."""
    kinds = _kinds(limits)
    shells: dict[int, set[Neighbor]] = defaultdict(set)
    for pair in bonds:
        if kinds[_elements(pair, symbols)] == COORDINATION:
            _add(shells, pair)
    followed = {s for pair, kind in kinds.items() if kind == COORDINATION for s in pair if s not in NONMETALS}
    return {f"{s}{k}": _formula(k, shells[k], symbols) for k, s in enumerate(symbols) if s in followed}


def bonds_after(initial: Iterable[Pair], changes: Iterable[BondChange]) -> frozenset[Pair]:
    """Pairs that are bonded when all these changes have happened."""
    bonds = set(initial)
    for change in sorted(changes, key=lambda change: change.frame):
        (bonds.add if change.formed else bonds.discard)(change.pair)
    return frozenset(bonds)


def find_bond_events(
    initial: Iterable[Pair],
    changes: Iterable[BondChange],
    symbols: Sequence[str],
    limits: Sequence[PairLimits],
    window_fs: float,
    clock: Clock,
) -> list[Event]:
    """The events that these changes are, in order of time.

    initial: pairs that were bonded at the start; window_fs: changes further apart in time don't belong together.
    """
    window = window_fs / clock.frame_fs * (1.0 + 1e-9)
    groups: list[list[_Side]] = []
    by_center: dict[tuple[int, str], list[_Side]] = defaultdict(list)
    for side in _sides(initial, changes, symbols, _kinds(limits)):
        if _may_belong(side, symbols):
            by_center[side.center, side.kind].append(side)
        else:
            groups.append([side])
    for sides in by_center.values():
        groups += _belonging(sides, window)
    events = [_event(group, symbols, clock) for group in groups]
    return sorted(events, key=lambda event: (event.frame, event.atoms))


def _belonging(sides: Sequence[_Side], window: float) -> list[list[_Side]]:
    """Changes at one center, each alone or with one of the other direction and another partner, in order of time."""
    alone: list[_Side] = []
    together: list[list[_Side]] = []
    for side in sides:
        fitting = (
            s
            for s in alone
            if s.change.formed != side.change.formed
            and s.other != side.other
            and side.change.frame - s.change.frame <= window
        )
        first = next(fitting, None)
        if first is None:
            alone.append(side)
        else:
            alone.remove(first)
            together.append([first, side])
    return together + [[side] for side in alone]


def _may_belong(side: _Side, symbols: Sequence[str]) -> bool:
    """Whether another change at its center can be the same event: at a metal, or of a hydrogen with a heavy atom."""
    return side.kind == COORDINATION or (symbols[side.center] == "H" and symbols[side.other[0]] != "H")


def _event(group: Sequence[_Side], symbols: Sequence[str], clock: Clock) -> Event:
    last = group[-1]
    frame, metal = last.change.frame, last.kind == COORDINATION
    lost = [side.other for side in group if not side.change.formed]
    gained = [side.other for side in group if side.change.formed]
    name = [f"{symbol}{k}" for k, symbol in enumerate(symbols)]
    change = None
    if metal:
        before = (last.after - set(gained)) | set(lost)
        change = (_formula(last.center, before, symbols), _formula(last.center, last.after, symbols))
        kind = LIGAND_EXCHANGE if change[0] == change[1] else COORDINATION_CHANGE
        moves = [f"{name[x[0]]} left" for x in lost] + [f"{name[x[0]]} came" for x in gained]
        words = f"{name[last.center]}: {change[0]} -> {change[1]} ({', '.join(moves)})"
    elif len(group) == 2:
        kind = PROTON_TRANSFER
        words = f"{name[last.center]} went from {name[lost[0][0]]} to {name[gained[0][0]]}"
    else:
        kind = BOND_FORMED if last.change.formed else BOND_BROKEN
        bond = f"{name[last.center]}-{name[last.other[0]]}"
        words = f"{bond} {'formed' if last.change.formed else 'broke'} ({last.change.distance:.2f} Å)"
        if symbols[last.center] == "H" and symbols[last.other[0]] != "H":
            back: Neighbor = (last.center, _turned(last.other[1]))
            before = last.after_other - {back} if last.change.formed else last.after_other | {back}
            change = (
                _formula(last.other[0], before, symbols),
                _formula(last.other[0], last.after_other, symbols),
            )
            words += f": {change[0]} -> {change[1]}"
    atoms = (last.center, *(x[0] for x in lost), *(x[0] for x in gained))
    return Event(
        kind=kind,
        time_fs=clock.time_fs(frame),
        frame=frame,
        frame_before=max(clock.first, min(side.change.frame for side in group) - 1),
        frame_after=min(clock.last, frame + clock.persist),
        atoms=atoms,
        elements=tuple(symbols[k] for k in atoms),
        distance=last.change.distance,
        temperature=None,
        change=change,
        words=words,
    )


def _sides(
    initial: Iterable[Pair], changes: Iterable[BondChange], symbols: Sequence[str], kinds: Mapping[tuple[str, str], str]
) -> list[_Side]:
    """The changes in order of time, each with its shells."""
    shells: dict[str, dict[int, set[Neighbor]]] = defaultdict(lambda: defaultdict(set))
    for pair in initial:
        _add(shells[kinds[_elements(pair, symbols)]], pair)
    sides = []
    for change in sorted(changes, key=lambda change: (change.frame, change.pair)):
        pair = change.pair
        kind = kinds[_elements(pair, symbols)]
        (_add if change.formed else _remove)(shells[kind], pair)
        of_first, of_second = (_is_center(symbols[k], kind) for k in (pair.i, pair.j))
        turned = of_second and not of_first
        center, other = (pair.j, (pair.i, _turned(pair.n))) if turned else (pair.i, (pair.j, pair.n))
        after = shells[kind]
        sides.append(_Side(change, kind, center, other, frozenset(after[center]), frozenset(after[other[0]])))
    return sides


def _is_center(symbol: str, kind: str) -> bool:
    return symbol not in NONMETALS if kind == COORDINATION else symbol == "H"


def _kinds(limits: Sequence[PairLimits]) -> dict[tuple[str, str], str]:
    return {order: pair.kind for pair in limits for order in (pair.elements, pair.elements[::-1])}


def _elements(pair: Pair, symbols: Sequence[str]) -> tuple[str, str]:
    return symbols[pair.i], symbols[pair.j]


def _formula(center: int, shell: Iterable[Neighbor], symbols: Sequence[str]) -> str:
    return shell_formula(symbols[center], (symbols[atom] for atom, _ in shell))


def _turned(n: tuple[int, int, int]) -> tuple[int, int, int]:
    return (-n[0], -n[1], -n[2])


def _add(shells: dict[int, set[Neighbor]], pair: Pair) -> None:
    shells[pair.i].add((pair.j, pair.n))
    shells[pair.j].add((pair.i, _turned(pair.n)))


def _remove(shells: dict[int, set[Neighbor]], pair: Pair) -> None:
    shells[pair.i].discard((pair.j, pair.n))
    shells[pair.j].discard((pair.i, _turned(pair.n)))
