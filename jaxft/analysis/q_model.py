"""Where a training set ends: for each element the subspace that its environments span, and limits of the distance from it.

A Q model belongs to one training set and one element (protocol 6): mean, SD and axes come from that set only. Its limits come
from production frames of the segments that the labels were picked from, which cost no label: empirical quantiles, because the
textbook ones alarm far too often with few rows and many columns (``stats/limits.py``).

An atom is compared by Q over its element's limit; a frame by the largest ratio of its atoms, since a single lost proton must
not drown in a mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from jaxft.analysis.environments import Environments, symbols
from jaxft.errors import InputError
from jaxft.stats.limits import Limit, empirical_limit, jackson_mudholkar_limit, t2_limit
from jaxft.stats.moments import moments
from jaxft.stats.principal_components import PrincipalComponents, principal_components

RATE = 0.01
"""Nominal share of alarms, of atoms and of frames."""

ENOUGH_FRAMES = 200
"""Independent calibration frames below which the limit is said to be uncertain (protocol 6)."""


@dataclass(frozen=True, eq=False)
class QModel:
    """The subspaces of a training set, by atomic number; ``frames`` in it. Elements whose atoms all look alike have none."""

    elements: Mapping[int, PrincipalComponents]
    frames: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """Limits of a Q model.

    q            by atomic number: limit of Q of an atom
    frame        limit of the largest Q/limit of a frame
    n_frames     calibration frames
    n_effective  independent ones among them
    false_alarms measured, by atomic number: share of calibration atoms above the limit of each kind: ``held out`` (empirical,
    from
                 the first half of the frames, on the second), ``jackson-mudholkar``, ``t2``
    textbook     Jackson and Mudholkar's limit by atomic number
    t2           limit of T² by atomic number, None where there are too few frames for one
    """

    q: Mapping[int, Limit]
    frame: Limit
    n_frames: int
    n_effective: float
    false_alarms: Mapping[int, Mapping[str, float | None]]
    textbook: Mapping[int, float]
    t2: Mapping[int, float | None]

    @property
    def enough(self) -> bool:
        """Whether the frames are as many independent ones as the protocol asks for."""
        return self.n_effective >= ENOUGH_FRAMES


def fit_q_model(training: Environments) -> QModel:
    """One model for each element of a training set, by one rule: 90 % of the variance, but fewer components than a third of the
    frames.

    An element whose atoms do not differ at all (one atom in one frame) has no model. Raises InputError where no element has
    one.
    """
    most = max(0, (training.frames - 1) // 3)
    found = {}
    for number in training.elements:
        rows = training.of_element(number).values
        if len(rows) > 1 and np.ptp(rows, axis=0).max() > 0.0:
            found[number] = principal_components(moments(rows), at_most=most)
    if not found:
        raise InputError(
            f"the training set has {training.frames} frame(s) in which no element has two different environments; expected more "
            "labelled structures"
        )
    return QModel(found, training.frames)


def q_and_t2(model: QModel, of: Environments) -> tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
    """Q and T² of each atom in the subspace of its element; NaN for elements that the model does not have."""
    q, t2 = np.full(len(of.numbers), np.nan), np.full(len(of.numbers), np.nan)
    for number, subspace in model.elements.items():
        chosen = of.numbers == number
        if chosen.any():
            q[chosen], t2[chosen] = subspace.q(of.values[chosen]), subspace.t2(of.values[chosen])
    return q, t2


def calibrate(model: QModel, frames: Environments, n_effective: float, rate: float = RATE) -> Calibration:
    """Limits from unlabelled production frames, in the order of time.

    Raises InputError where an element of the model is not among them, or there are fewer than two frames.
    """
    missing = sorted(set(model.elements) - set(frames.elements))
    if missing:
        raise InputError(
            f"the production frames have no {symbols(missing)}, which the training set has; calibrate with frames of the system "
            "that was trained on"
        )
    if frames.frames < 2:
        raise InputError(f"limits need at least 2 production frames, got {frames.frames}")
    q, t2 = q_and_t2(model, frames)
    early = frames.frame < frames.frames / 2
    limits, alarms, textbook, of_t2 = {}, {}, {}, {}
    for number, subspace in model.elements.items():
        mine = frames.numbers == number
        limits[number] = empirical_limit(q[mine], rate)
        textbook[number] = jackson_mudholkar_limit(subspace.eigenvalues[subspace.retained :], rate)
        of_t2[number] = t2_limit(subspace.retained, model.frames, rate)
        half = empirical_limit(q[mine & early], rate).value
        beyond_t2 = of_t2[number]
        alarms[number] = {
            "held out": float((q[mine & ~early] > half).mean()),
            "jackson-mudholkar": float((q[mine] > textbook[number]).mean()),
            "t2": None if beyond_t2 is None else float((t2[mine] > beyond_t2).mean()),
        }
    largest, _ = frame_maximum(ratio_to_limit(q, frames.numbers, limits), frames.frame, frames.frames)
    # correlated frames tell no smaller rate than as many independent ones would
    least = 1.0 / (min(n_effective, float(frames.frames)) + 1.0)
    limits = {z: replace(limit, rate=max(limit.rate, least)) for z, limit in limits.items()}
    of_frame = empirical_limit(largest, rate)
    of_frame = replace(of_frame, rate=max(of_frame.rate, least))
    return Calibration(limits, of_frame, frames.frames, n_effective, alarms, textbook, of_t2)


def left_out_alarms(
    training: Environments,
    training_groups: Int[np.ndarray, "frames"],
    frames: Environments,
    frame_groups: Int[np.ndarray, "frames"],
    rate: float = RATE,
) -> tuple[float, ...]:
    """For each segment in turn the share of its frames above the frame limit, where it neither trained nor calibrated.

    What an alarm is worth on dynamics that the labels did not come from: a limit that holds its rate on its own segments may
    not on another box. Empty where there is one segment only; segments whose absence leaves too little are passed over.
    """
    found = []
    for group in np.unique(frame_groups):
        kept, others = training_groups != group, frame_groups != group
        if not kept.any() or not others.any():
            continue
        try:
            model = fit_q_model(training.frames_where(kept))
            limits = calibrate(model, frames.frames_where(others), float(others.sum()), rate)
        except InputError:
            continue
        fresh = frames.frames_where(~others)
        ratio = ratio_to_limit(q_and_t2(model, fresh)[0], fresh.numbers, limits.q)
        largest, _ = frame_maximum(ratio, fresh.frame, fresh.frames)
        found.append(float((largest > limits.frame.value).mean()))
    return tuple(found)


def ratio_to_limit(
    q: Float[np.ndarray, "rows"], numbers: Int[np.ndarray, "rows"], limits: Mapping[int, Limit]
) -> Float[np.ndarray, "rows"]:
    """Q over the limit of the atom's element; NaN where there is none."""
    table = np.full(int(max([*numbers, *limits], default=0)) + 1, np.nan)
    for number, limit in limits.items():
        table[number] = limit.value
    return q / table[numbers]


def frame_maximum(
    ratio: Float[np.ndarray, "rows"], frame: Int[np.ndarray, "rows"], frames: int
) -> tuple[Float[np.ndarray, "frames"], Int[np.ndarray, "frames"]]:
    """The largest ratio of each frame, and which of its atoms has it (number within the frame); NaN rows do not count.

    A frame with no atom that counts has NaN and -1.
    """
    largest, atom = np.full(frames, np.nan), np.full(frames, -1)
    starts = np.searchsorted(frame, np.arange(frames + 1))
    for k in range(frames):
        of_frame = ratio[starts[k] : starts[k + 1]]
        if np.isfinite(of_frame).any():
            atom[k] = int(np.nanargmax(of_frame))
            largest[k] = of_frame[atom[k]]
    return largest, atom
