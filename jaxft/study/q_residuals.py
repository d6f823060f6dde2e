"""``qresidual.json`` and ``atoms.json`` of a run: Q models, their limits, Q along each test, and whether Q finds errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from jaxft.analysis.atom_scores import atom_scores, write_atoms
from jaxft.analysis.attribution import causes
from jaxft.analysis.environments import Environments
from jaxft.analysis.proxy import LabelledAtoms, judge_signals
from jaxft.analysis.q_model import (
    RATE,
    Calibration,
    QModel,
    calibrate,
    fit_q_model,
    frame_maximum,
    left_out_alarms,
    q_and_t2,
    ratio_to_limit,
)
from jaxft.analysis.q_record import ModelQ, Peak, QRecord, Timeline, element_limits, timeline, write_q
from jaxft.analysis.rivals import closeness, distance_to_training, force_size
from jaxft.errors import InputError
from jaxft.finetune.predict_set import predict_set
from jaxft.md.monitor import Monitor
from jaxft.potential.committee import Committee
from jaxft.potential.describe import describe
from jaxft.potential.potential import Potential
from jaxft.strategies.bench import Model
from jaxft.study.committees import committee_of
from jaxft.study.production import Stretch
from jaxft.study.run_view import RunView


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A model's Q model and limits by one potential's descriptors, the training set as it sees it, alarms on segments left out."""

    q: QModel
    limits: Calibration
    training: Environments
    left_out: tuple[float, ...]


def analyse_q(view: RunView) -> None:
    """Write ``qresidual.json``; a model without limits says why, and so does a proxy that can't be judged."""
    models: list[ModelQ] = []
    fitted: dict[tuple[str, str], _Fitted] = {}
    for model in view.models:
        for kind, potential in (("base", view.base), ("own", model.potential)):
            try:
                fitted[kind, model.name] = one = _fit(view, model, potential)
            except InputError as error:
                models.append(_no_q(model, kind, str(error)))
                continue
            timelines = _timelines(view, model, potential, one) if kind == "base" else ()
            models.append(_model_q(model, kind, one, timelines))
    try:
        labelled = _labelled_atoms(view, fitted)
        _write_atoms(view, labelled)
        proxies, why = {"atoms": tuple(judge_signals(labelled))}, None
    except InputError as error:
        proxies, why = {}, str(error)
    box = next((labelled.atoms for model in view.models for labelled in model.data), None)
    write_q(
        view.layout.evaluation("qresidual"),
        QRecord(
            layers=view.settings.evaluation.layers,
            features=next(iter(fitted.values())).training.values.shape[1] if fitted else 0,
            nominal_rate=RATE,
            atom_symbols=() if box is None else tuple(box.get_chemical_symbols()),
            models=tuple(models),
            proxies=proxies,
            no_proxy=why,
        ),
    )


def monitor_of(view: RunView, model: Model, action: str) -> Monitor:
    """What watches a model's dynamics by the base's descriptors. Raises InputError where the model has no limits."""
    one = _fit(view, model, view.base)
    return Monitor(
        potential=view.base,
        models=one.q.elements,
        limits={z: limit.value for z, limit in one.limits.q.items()},
        frame_limit=one.limits.frame.value,
        layers=view.settings.evaluation.layers,
        action=action,
    )


def _fit(view: RunView, model: Model, descriptors: Potential) -> _Fitted:
    training = view.training(model, descriptors)
    q = fit_q_model(training)
    calibrating = view.calibrating(model)
    if not calibrating.frames:
        raise InputError(f"there are no production frames of {model.name} besides its labels; limits need some")
    frames = view.describe(calibrating.frames, descriptors)
    groups = view.groups(model)
    left_out = () if groups is None else left_out_alarms(training, groups, frames, calibrating.groups)
    return _Fitted(q, calibrate(q, frames, calibrating.n_effective), training, left_out)


def _no_q(model: Model, kind: str, why: str) -> ModelQ:
    return ModelQ(
        model.name, model.strategy, model.budget, kind, len(model.data), {}, 0, 0.0, False, None, None, (), why
    )


def _model_q(model: Model, kind: str, one: _Fitted, timelines: Sequence[Timeline]) -> ModelQ:
    return ModelQ(
        name=model.name,
        strategy=model.strategy,
        budget=model.budget,
        descriptors=kind,
        frames=one.q.frames,
        elements=element_limits(one.q, one.limits),
        calibration_frames=one.limits.n_frames,
        calibration_effective=one.limits.n_effective,
        enough=one.limits.enough,
        frame_limit=one.limits.frame.value,
        frame_rate=one.limits.frame.rate,
        timelines=tuple(timelines),
        left_out=one.left_out,
        without=tuple(chemical_symbols[z] for z in one.training.elements if z not in one.q.elements),
    )


def _timelines(view: RunView, model: Model, potential: Potential, one: _Fitted) -> list[Timeline]:
    """Q along each test of a model, frame by frame; memory stays flat."""
    found = []
    for stretch in view.tests(model.name):
        numbers = stretch.trajectory.template.numbers
        frames = range(stretch.first, stretch.stop)
        largest, atom, share = (np.zeros(len(frames)) for _ in range(3))
        stream = describe(
            potential,
            stretch.trajectory.structures(frames),
            layers=view.settings.evaluation.layers,
            dtype=view.settings.precision,
        )
        for k, values in enumerate(stream):
            here = Environments(numbers, np.zeros(len(numbers), dtype=int), values, 1)
            ratio = ratio_to_limit(q_and_t2(one.q, here)[0], numbers, one.limits.q)
            (largest[k],), (atom[k],) = frame_maximum(ratio, here.frame, 1)
            share[k] = float((ratio > 1.0).mean())
        spacing = view.settings.md.timestep_fs * view.settings.md.frame_every
        times = (np.arange(len(frames)) + 1.0) * spacing
        atoms = atom.astype(int)
        peak = _peak(view, potential, one, stretch, times, largest, atoms)
        found.append(timeline(stretch.number, times, largest, atoms, share, one.limits.frame.value, peak))
    return found


def _peak(
    view: RunView,
    potential: Potential,
    one: _Fitted,
    stretch: Stretch,
    times: Float[np.ndarray, "frames"],
    largest: Float[np.ndarray, "frames"],
    atoms: Int[np.ndarray, "frames"],
) -> Peak | None:
    """The worst frame of a run, and who causes it."""
    if not np.isfinite(largest).any():
        return None
    k = int(np.nanargmax(largest))
    (structure,) = stretch.trajectory.structures([stretch.first + k])
    subspace = one.q.elements[int(structure.numbers[atoms[k]])]
    found = causes(potential, subspace, structure, int(atoms[k]), view.settings.evaluation.layers)
    return Peak(k, float(times[k]), int(atoms[k]), tuple(found))


def _write_atoms(view: RunView, labelled: LabelledAtoms) -> None:
    """Q and force error of every labelled atom, to look at one by one."""
    frames = {m.name: found.labelled for m in view.models if (found := view.labelled(m.name)) is not None}
    names = {number: model.name for number, model in enumerate(view.models)}
    write_atoms(view.layout.evaluation("atoms"), atom_scores(labelled, names, frames))


def _labelled_atoms(view: RunView, fitted: dict[tuple[str, str], _Fitted]) -> LabelledAtoms:
    """Every atom of every labelled frame of the models that have Q models, with all signals."""
    parts: dict[str, list[np.ndarray]] = {}

    def add(**values: np.ndarray) -> None:
        for name, value in values.items():
            parts.setdefault(name, []).append(value)

    n_frames = 0
    for number, model in enumerate(view.models):
        frames = view.labelled(model.name)
        if frames is None or not len(frames.labelled) or ("base", model.name) not in fitted:
            continue
        good = frames.labelled
        atoms = [frames.atoms[k] for k in good]
        said = predict_set(model.potential, atoms, dtype=view.settings.precision)
        residual = (said.energies - frames.energies[good]) / np.array([len(a) for a in atoms])
        by_base, by_own = view.describe(atoms), view.describe(atoms, model.potential)
        one = fitted["base", model.name]
        add(
            numbers=by_base.numbers,
            frame=by_base.frame + n_frames,
            force_error=np.concatenate(
                [np.linalg.norm(f - frames.forces[k], axis=1) for f, k in zip(said.forces, good, strict=True)]
            ),
            run=number * 1000 + frames.seeds[good],
            seed=frames.seeds[good],
            model=np.full(len(good), number),
            energy_error=np.abs(residual - residual.mean()),
        )
        add(
            q=_ratio(one, by_base),
            own_q=_ratio(fitted.get(("own", model.name)), by_own),
            distance=distance_to_training(one.q, one.training, by_base),
            force=force_size(said.forces),
            close=closeness(atoms),
            spread=_spread(committee_of(view, model), atoms),
        )
        n_frames += len(good)
    if not n_frames:
        raise InputError("no labelled frame of any model's dynamics; a proxy is judged on those, so label some first")
    whole = {name: np.concatenate(values) for name, values in parts.items()}
    signals = {
        "Q residual": "q",
        "Q residual, model's own descriptors": "own_q",
        "distance to the nearest training environment": "distance",
        "force": "force",
        "closest contact": "close",
        "committee spread": "spread",
    }
    signals = {name: column for name, column in signals.items() if np.isfinite(whole[column]).any()}
    return LabelledAtoms(
        **{name: whole[name] for name in ("numbers", "frame", "force_error", "run", "seed", "model", "energy_error")},
        signals={name: whole[column] for name, column in signals.items()},
    )


def _spread(committee: Committee | None, structures: Sequence[Atoms]) -> Float[np.ndarray, "rows"]:
    """SD of the force on each atom over the members, eV/Å; NaN without a committee."""
    if committee is None:
        return np.full(sum(map(len, structures)), np.nan)
    return np.concatenate([committee(atoms).forces_spread for atoms in structures])


def _ratio(one: _Fitted | None, of: Environments) -> Float[np.ndarray, "rows"]:
    if one is None:
        return np.full(len(of.numbers), np.nan)
    return ratio_to_limit(q_and_t2(one.q, of)[0], of.numbers, one.limits.q)
