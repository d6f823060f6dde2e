"""``evaluation/qresidual.json``: Q models of all training sets, their limits, Q along the tests, and how good a proxy it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from jaxft.analysis.attribution import Cause
from jaxft.analysis.proxy import Proxy
from jaxft.analysis.q_model import Calibration, QModel
from jaxft.analysis.result_file import read_result, write_result

FORMAT, VERSION = "jaxft-qresidual", 1

CHECKS = 3
"""Consecutive frames above the limit that make an alarm (protocol 9)."""


@dataclass(frozen=True)
class ElementLimits:
    """The Q model of one element.

    columns, retained   features that count, components kept; ``explained``: their share of the variance
    atoms               rows that it was fitted to
    limit               of Q, empirical, with the rate that it stands for, from ``limit_atoms`` atoms
    textbook            Jackson and Mudholkar's limit
    t2_limit            of T²; None where there are too few frames
    false_alarms        measured rates, as in ``q_model.Calibration``
    """

    columns: int
    retained: int
    explained: float
    atoms: int
    limit: float
    rate: float
    limit_atoms: int
    textbook: float
    t2_limit: float | None
    false_alarms: Mapping[str, float | None]


@dataclass(frozen=True)
class Peak:
    """The frame of a run with the largest Q/limit: its number from the start of the test, its time, whose it is, and why."""

    frame: int
    time_fs: float
    atom: int
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class Timeline:
    """Q along one test run: of each frame the largest Q/limit, whose it is (number of the atom), and the share of atoms above.

    alarm_fs  time of the first of three consecutive frames above the frame limit; None where there is none
    peak      the frame with the largest value, and which neighbors of its atom cause it most; None where there is no frame
    """

    seed: int
    times_fs: tuple[float, ...]
    largest: tuple[float, ...]
    atom: tuple[int, ...]
    share: tuple[float, ...]
    alarm_fs: float | None
    peak: Peak | None = None


@dataclass(frozen=True)
class ModelQ:
    """One model's training set, seen by one potential's descriptors.

    descriptors   base or own
    frames        labelled structures in the set
    calibration_frames, calibration_effective   production frames behind the limits, and independent ones among them
    enough        whether those are as many as the protocol asks for
    frame_limit, frame_rate   limit of the largest Q/limit of a frame, and its rate
    why           why there is no Q model; the rest is then empty
    left_out      for each segment of the sampling in turn, share of its frames above the frame limit where it neither trained
                  nor calibrated (``q_model.left_out_alarms``)
    without       elements that have no Q model, since all their atoms look alike: they never alarm
    """

    name: str
    strategy: str
    budget: int
    descriptors: str
    frames: int
    elements: Mapping[str, ElementLimits]
    calibration_frames: int
    calibration_effective: float
    enough: bool
    frame_limit: float | None
    frame_rate: float | None
    timelines: tuple[Timeline, ...]
    why: str | None = None
    left_out: tuple[float, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class QRecord:
    """All of it.

    layers, features  of the descriptors
    atoms_elements    symbol of each atom of the box, for the numbers in timelines
    proxies           by kind of descriptors, signal by signal; empty with the reason in ``no_proxy``
    """

    layers: str
    features: int
    nominal_rate: float
    atom_symbols: tuple[str, ...]
    models: tuple[ModelQ, ...]
    proxies: Mapping[str, tuple[Proxy, ...]]
    no_proxy: str | None


def element_limits(model: QModel, calibration: Calibration) -> dict[str, ElementLimits]:
    """By symbol."""
    return {
        chemical_symbols[z]: ElementLimits(
            columns=int(pca.kept.sum()),
            retained=pca.retained,
            explained=float(pca.explained[: pca.retained].sum()),
            atoms=pca.count,
            limit=calibration.q[z].value,
            rate=calibration.q[z].rate,
            limit_atoms=calibration.q[z].n,
            textbook=calibration.textbook[z],
            t2_limit=calibration.t2[z],
            false_alarms=dict(calibration.false_alarms[z]),
        )
        for z, pca in model.elements.items()
    }


def timeline(
    seed: int,
    times_fs: Float[np.ndarray, "frames"],
    largest: Float[np.ndarray, "frames"],
    atom: Int[np.ndarray, "frames"],
    share: Float[np.ndarray, "frames"],
    frame_limit: float,
    peak: Peak | None = None,
) -> Timeline:
    """Of one run, with its first alarm."""
    start = first_run(largest > frame_limit, CHECKS)
    return Timeline(
        seed,
        tuple(times_fs.tolist()),
        tuple(largest.tolist()),
        tuple(atom.tolist()),
        tuple(share.tolist()),
        None if start is None else float(times_fs[start]),
        peak,
    )


def first_run(flags: np.ndarray, length: int) -> int | None:
    """Where the first ``length`` consecutive true values begin; None where there are none."""
    count = 0
    for k, flag in enumerate(flags):
        count = count + 1 if flag else 0
        if count == length:
            return k - length + 1
    return None


def write_q(path: str | Path, record: QRecord) -> None:
    """Write ``qresidual.json`` atomically."""
    write_result(path, FORMAT, VERSION, record)


def read_q(path: str | Path) -> QRecord:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, QRecord)
