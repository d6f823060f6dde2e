"""Setting labelled structures aside for validation, so that neighbours in time don't sit on both sides.

trajectory  the last part of each trajectory in the order of the file; a trajectory is what shares a value of ``key``, or else a
            composition. Short trajectories give their share together: a fifth of five trajectories of two frames is the last frame
            of two of them. Of a file whose frames were shuffled, neighbours in time are on both sides whatever is set aside, and
            the errors come out too small: use ``key`` with an entry that tells trajectories (or molecules) apart
key         whole groups of structures that share a value of ``key``: in an order drawn by the seed, each that fits into what the
            share still leaves; then the smallest of the others where this comes nearer to the share, or where none did fit
random      any structures, drawn by the seed: only for structures that are independent

A structure that occurs several times is on one side: repeats go where the first of them goes.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from jaxft.errors import InputError, nearest
from jaxft.structures.dataset import LabelledStructure, find_duplicates

ALL_TRAIN = 50
"""Labels up to which all are trained on (protocol 2)."""

SHARE = 0.1

WAYS = ("trajectory", "key", "random")
DRAWN_BY_SEED = ("key", "random")


@dataclass(frozen=True)
class ValidationSettings:
    """What is set aside.

    share  of the structures, 0 to below 1; 0: none; None: none up to ``ALL_TRAIN`` structures, ``SHARE`` above
    by     one of ``trajectory``, ``key``, ``random``
    key    name of the entry of ``atoms.info`` that tells groups apart; needed with ``by: key``
    """

    share: float | None = None
    by: str = "trajectory"
    key: str | None = None

    def __post_init__(self) -> None:
        if self.share is not None and not 0.0 <= self.share < 1.0:
            raise InputError(f"validation.share is {self.share}, expected 0 to below 1")
        if self.by not in WAYS:
            raise InputError(f"validation.by is {self.by!r}, expected one of {', '.join(WAYS)}{nearest(self.by, WAYS)}")
        if self.by == "key" and self.key is None:
            raise InputError("validation.by is 'key', which needs validation.key: the entry that tells groups apart")
        if self.by == "random" and self.key is not None:
            raise InputError(f"validation.key is {self.key!r}, but a random choice uses none; leave it out")


def split_validation(
    data: Sequence[LabelledStructure], settings: ValidationSettings, seed: int
) -> tuple[list[int], list[int]]:
    """Numbers of the structures to train on, and of those set aside, both ascending.

    At least one structure is set aside where the share, which is of the different structures, is above 0. Raises InputError where
    nothing would be left to train on, and for a key that a structure lacks.
    """
    share = settings.share
    if share is None:
        share = SHARE if len(data) > ALL_TRAIN else 0.0
    if share == 0.0:
        return list(range(len(data))), []
    generator = np.random.default_rng(seed)
    first_of = {again: first for first, again in find_duplicates(data)}
    different = [k for k in range(len(data)) if k not in first_of]
    wanted = max(1, round(share * len(different)))
    groups: dict[Hashable, list[int]] = {}
    for k in different:
        groups.setdefault(_group(data[k], k, settings), []).append(k)
    aside: list[int] = []
    if settings.by == "random":
        aside = [different[place] for place in generator.permutation(len(different))[:wanted]]
    elif settings.by == "trajectory":
        ends = np.cumsum([len(members) for members in groups.values()])
        # rounded as running sums, so that many short trajectories give their share together
        counts = np.diff(np.floor(share * ends + 0.5).astype(int), prepend=0)
        for members, count in zip(groups.values(), counts, strict=True):
            aside += members[len(members) - count :]
        if not aside:
            aside = max(groups.values(), key=len)[-wanted:]
        if len(aside) == len(different) > 1:
            aside.pop(0)
    else:
        order = generator.permutation(len(groups))
        drawn = [list(groups.values())[place] for place in order]
        aside = [k for members in _whole_groups(drawn, wanted) for k in members]
    chosen = set(aside)
    aside = [k for k in range(len(data)) if first_of.get(k, k) in chosen]
    rest = [k for k in range(len(data)) if first_of.get(k, k) not in chosen]
    if not rest or not aside:
        raise InputError(
            f"validation.share {share} of {len(different)} different structures in {len(groups)} groups leaves "
            f"{len(rest)} to train on and {len(aside)} aside; expected at least one of each: choose another share, or another way "
            "to split"
        )
    return rest, aside


def _whole_groups(drawn: Sequence[list[int]], wanted: int) -> list[list[int]]:
    """Of groups in the order in which they are tried, those to set aside, never all: their sizes come near to ``wanted``."""
    chosen: list[list[int]] = []
    others: list[list[int]] = []
    left = wanted
    for members in drawn:
        fits = len(members) <= left
        (chosen if fits else others).append(members)
        left -= len(members) * fits
    if len(others) > 1:
        smallest = min(others, key=len)
        if not chosen or len(smallest) - left < left:
            chosen.append(smallest)
    return chosen if len(chosen) < len(drawn) else chosen[1:]


def _group(item: LabelledStructure, number: int, settings: ValidationSettings) -> Hashable:
    if settings.key is None:
        return item.atoms.get_chemical_formula()
    if settings.key not in item.atoms.info:
        known = sorted(item.atoms.info)
        raise InputError(
            f"{item.where or f'labelled structure {number}'} has no entry {settings.key!r}, which validation.key names; it has "
            f"{', '.join(known) or 'none'}{nearest(settings.key, known)}"
        )
    return str(item.atoms.info[settings.key])
