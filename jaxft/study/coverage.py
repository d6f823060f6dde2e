"""``coverage.json`` of a run: training sets, tests and rounds in one space; what lies outside what."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from jaxft.analysis.bond_lengths import length_per_atom
from jaxft.analysis.coverage import CoverageSpace, Outside, Share, coverage_space
from jaxft.analysis.coverage_record import Coverage, MapPoint, write_coverage
from jaxft.analysis.environments import Environments, join
from jaxft.strategies.bench import Model
from jaxft.study.production import frames_of, spread_frames
from jaxft.study.run_view import RunView

COVERAGE_FRAMES = 400
"""At most of each model's tests, for shares; evenly spread."""

BOND = ("H", "O")
"""The bond that the map is coloured by: of each hydrogen to its nearest oxygen (the paper's figure 4)."""

MAP_POINTS = 600
"""At most of each set, on the map."""


def analyse_coverage(view: RunView) -> None:
    """Write ``coverage.json``. Raises InputError where the training sets are too small or too alike."""
    sets = {model.name: view.training(model) for model in view.models}
    groups = {model.name: view.groups(model) for model in view.models}
    fitted_to = [model.name for model in view.largest]
    space = coverage_space([sets[name] for name in fitted_to], [groups[name] for name in fitted_to])
    outside = {name: Outside(space, name, sets[name], groups[name]) for name in sets}
    tests = {model.name: found for model in view.models if (found := _test_environments(view, model)) is not None}

    shares = [share for name, (test, _) in tests.items() for share in outside[name].shares(f"test {name}", test)]
    for one in fitted_to:
        for other in fitted_to:
            if one != other:
                shares += outside[other].shares(one, sets[one])
                if one in tests:
                    shares += outside[other].shares(f"test {one}", tests[one][0])
    points = []
    for model in view.models:
        points += _points(space, model.name, sets[model.name], [labelled.atoms for labelled in model.data])
        if model.name in tests:
            points += _points(space, f"test {model.name}", *tests[model.name])
        frames = view.labelled(model.name)
        if frames is not None:
            points += _points(space, f"frames {model.name}", view.describe(frames.atoms), frames.atoms)
    write_coverage(
        view.layout.evaluation("coverage"),
        Coverage(
            fitted_to=tuple(fitted_to),
            explained=tuple(space.pooled.explained.tolist()),
            radii={chemical_symbols[z]: radius for z, radius in space.radii.items()},
            shares=tuple(shares),
            new=tuple(_new_in_each_round(view, space, sets, {name: test for name, (test, _) in tests.items()})),
            points=tuple(points),
            missing=(*view.missing(), *(f"test {name}" for name in sets if name not in tests)),
        ),
    )


def _test_environments(view: RunView, model: Model) -> tuple[Environments, list[Atoms]] | None:
    stretches = view.tests(model.name)
    structures = list(frames_of(stretches, spread_frames(stretches, COVERAGE_FRAMES)))
    return (view.describe(structures), structures) if structures else None


def _new_in_each_round(
    view: RunView, space: CoverageSpace, sets: dict[str, Environments], tests: dict[str, Environments]
) -> list[Share]:
    """What the test of FTk visits that neither its training set nor the tests of the models before it hold."""
    found: list[Share] = []
    before: list[Environments] = []
    for model in view.models:
        if model.strategy != "periodic" or model.name not in tests:
            continue
        known = join([sets[model.name], *before])
        found += Outside(space, f"all before {model.name}", known).shares(f"test {model.name}", tests[model.name])
        before.append(tests[model.name])
    return found


def _points(space: CoverageSpace, name: str, of: Environments, structures: Sequence[Atoms]) -> list[MapPoint]:
    """Rows of a set on the map, evenly chosen."""
    rows = np.unique(np.linspace(0, len(of.numbers) - 1, min(MAP_POINTS, len(of.numbers))).round().astype(int))
    frames = np.unique(of.frame[rows])
    bonds = {int(k): length_per_atom(structures[k], *BOND) for k in frames}
    scores = space.pooled.scores(of.values[rows])
    first = np.searchsorted(of.frame, of.frame[rows])
    return [
        MapPoint(
            set=name,
            frame=int(of.frame[row]),
            atom=int(row - start),
            element=chemical_symbols[of.numbers[row]],
            pc1=float(score[0]),
            pc2=float(score[1]),
            bond=_number(bonds[int(of.frame[row])][row - start]),
        )
        for row, start, score in zip(rows, first, scores, strict=True)
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
