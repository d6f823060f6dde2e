"""Events of a run put before the reference: one that is pulled back, one that stays, one that has no label; none bought twice."""

import json

import jax
import numpy as np
import pytest
import toy_references
from typer.testing import CliRunner
from water_boxes import water_box

from jaxft.analysis.event import BOND_BROKEN
from jaxft.analysis.event_check import ARTEFACT, CHEMISTRY, UNPHYSICAL
from jaxft.analysis.event_check_record import read_event_checks
from jaxft.cli.main import app
from jaxft.cli.settings import settings_from
from jaxft.cli.yaml_file import read_configuration
from jaxft.errors import InputError
from jaxft.jobs.serial import SerialExecutor
from jaxft.labels.store import open_store
from jaxft.md.h5md import Layout as FileLayout
from jaxft.md.h5md import create, write_frames
from jaxft.potential.load import load
from jaxft.study.chemistry import analyse_events
from jaxft.study.event_checks import check_events
from jaxft.study.labelled import LabelDesk
from jaxft.study.layout import Layout
from jaxft.study.plan import plan
from jaxft.study.progress import Silent
from jaxft.study.record import open_record
from jaxft.study.run_view import RunView

STUDY = """
system: {{composition: {{H2O: 4}}, density_g_cm3: 1.0}}
base: {base}
reference: {reference}
labels: {{executor: serial}}
md: {{timestep_fs: {timestep}, frame_every: {every}, equilibrate_ps: 0.05, produce_ps: 0.2}}
budgets: [2]
evaluation: {{seeds: 2, check_events: 2}}
"""
FRAMES, EVENT = 40, 20
OXYGEN, H = 0, 1
STEPS = 100


@pytest.fixture(autouse=True)
def nothing_called():
    toy_references.CALLS.clear()
    toy_references.INTERRUPT_AT[0] = 0


@pytest.fixture(scope="module")
def tiny_folder(tiny, tmp_path_factory):
    tiny.save(tmp_path_factory.mktemp("base") / "tiny")
    return tmp_path_factory.getbasetemp() / "base0" / "tiny"


class Run:
    """A run folder in which the base has been tested, and nothing else has happened."""

    def __init__(self, root, base, reference, timestep=1.0):
        root.mkdir()
        self.yaml, self.layout = root.parent / f"{root.name}.yaml", Layout(root)
        self.yaml.write_text(
            STUDY.format(base=base, reference=json.dumps(reference), timestep=timestep, every=round(10.0 / timestep))
        )
        self.settings = settings_from(read_configuration(self.yaml), root)
        self.base = load(str(base))
        open_record(self.layout, self.settings.configuration, 0, {})

    def test(self, seed, atoms, positions):
        """Write the base's test of a seed."""
        file = FileLayout(atoms, len(positions), 10, 10, 1.0, "a test", 3 * len(atoms))
        path = self.layout.own_dynamics("test", "base", 2)[seed]
        path.parent.mkdir(parents=True, exist_ok=True)
        create(path, file)
        zeros = np.zeros(len(positions))
        columns = dict.fromkeys(("energies", "kinetic", "conserved", "pressure"), zeros) | {
            "positions": positions,
            "velocities": 0.0 * positions,
            "steps": 10 * np.arange(1, len(positions) + 1),
            "status": zeros.astype(int),
        }
        write_frames(path, 0, columns)

    def view(self):
        return RunView(self.settings, self.layout, self.base)

    def check(self, at_most=1):
        with open_store(self.layout.root / "labels.db") as store:
            return check_events(self.view(), LabelDesk(self.settings, store, SerialExecutor()), at_most, Silent())

    def stored(self):
        with open_store(self.layout.root / "labels.db") as store:
            counts = store.counts()
        return counts.labels + counts.failures


def pulled(atoms, hydrogens=(H,), distance=1.6, seed=0):
    """Frames in which hydrogens of the first waters leave their oxygens at once, out to where there is room."""
    rng = np.random.default_rng(seed)
    positions = atoms.positions + 0.01 * rng.normal(size=(FRAMES, len(atoms), 3))
    for hydrogen in hydrogens:
        oxygen = hydrogen - 1
        directions = rng.normal(size=(300, 3))
        places = atoms.positions[oxygen] + distance * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        others = [k for k in range(len(atoms)) if k not in (oxygen, hydrogen)]

        def room(place, hydrogen=hydrogen, others=others):
            moved = atoms.copy()
            moved.positions[hydrogen] = place
            return moved.get_distances(hydrogen, others, mic=True).min()

        away = max(places, key=room) - atoms.positions[oxygen]
        positions[EVENT:, hydrogen] = positions[EVENT:, oxygen] + away
    return positions


def toy(**settings):
    return {"engine": "toy_references:spring", "settings": {"i": OXYGEN, "j": H, **settings}}


@pytest.fixture
def make_run(tiny_folder, tmp_path):
    """Function: a run whose base lost hydrogens in its test, to be judged by a spring."""

    def make(name="run", hydrogens=(H,), seeds=1, **settings):
        run = Run(tmp_path / name, tiny_folder, toy(**settings))
        for seed in range(seeds):
            atoms = water_box(4, 6.0)
            run.test(seed, atoms, pulled(atoms, hydrogens, seed=seed))
        analyse_events(run.view())
        return run

    return make


def only(checks):
    (check,) = checks.checks
    return check


def test_a_hydrogen_that_the_reference_pulls_back_is_an_artefact(make_run):
    run = make_run()
    check = only(run.check())
    assert (check.event.kind, check.event.frame, check.outcome) == (BOND_BROKEN, EVENT, ARTEFACT)
    assert (check.model, check.kind, check.seed, check.number) == ("base", "test", 0, 0)
    (followed,) = check.followed
    assert (followed.name, followed.was, followed.end) == ("H1-O0", "bonded", "bonded")
    assert followed.values[0] == pytest.approx(1.6, abs=1e-6)
    assert min(followed.values) < 0.97
    assert (len(followed.values), check.length_fs, check.labels) == (STEPS + 1, 100.0, STEPS + 3)
    # 5 eV/Å² times (1.6 - 0.97)² / 2
    assert check.reference_change == pytest.approx((0.0, 0.99, 0.99), abs=0.05)
    assert len(check.model_change) == len(check.force_rmse) == 3
    assert check.drift < 0.05
    assert run.stored() == STEPS + 3
    assert read_event_checks(run.layout.evaluation("event_checks")).counts == {ARTEFACT: 1}


def test_one_that_the_reference_leaves_where_it_is_is_chemistry(make_run):
    check = only(make_run(stiffness=0.0).check())
    assert check.outcome == CHEMISTRY
    assert check.why == "H1-O0 is 1.60 Å, apart for 100 fs"


@pytest.mark.parametrize(
    ("limit", "where", "labels"),
    [
        ({"fails_above": 1.5}, "no label at: not converged", 3),
        ({"fails_below": 0.9}, "of reference dynamics: not converged", 0),
    ],
)
def test_without_a_label_it_is_unphysical(make_run, limit, where, labels):
    run = make_run(**limit)
    check = only(run.check())
    assert check.outcome == UNPHYSICAL
    assert where in check.why
    assert check.labels == run.stored()
    if labels:
        assert (check.labels, check.times_fs, check.followed, check.drift) == (labels, (), (), None)
        assert check.reference_change[1:] == (None, None)
    else:
        assert 3 < check.labels < STEPS + 3
        # the frame before the failure is the last one
        assert check.labels == 3 + len(check.times_fs)


def test_interrupted_it_goes_on_with_the_same_numbers_and_buys_nothing_twice(make_run):
    whole = make_run("whole")
    whole.check()
    n_labels = len(toy_references.CALLS)
    toy_references.CALLS.clear()
    run = make_run("interrupted")
    for call in (2, 40):
        toy_references.INTERRUPT_AT[0] = call
        with pytest.raises(KeyboardInterrupt):
            run.check()
        assert not run.layout.evaluation("event_checks").exists()
    toy_references.INTERRUPT_AT[0] = 0
    run.check()
    # the two that were interrupted have been computed again
    assert len(toy_references.CALLS) == n_labels + 2
    assert run.stored() == n_labels
    texts = [r.layout.evaluation("event_checks").read_bytes() for r in (whole, run)]
    assert texts[0] == texts[1]
    run.check()
    assert len(toy_references.CALLS) == n_labels + 2


def test_no_more_events_are_checked_than_asked_for_and_those_of_other_runs_first(make_run):
    run = make_run(hydrogens=(1, 4), seeds=2)
    one = run.check(1)
    assert (one.events, one.wanted, len(one.checks)) == (4, 1, 1)
    assert run.stored() == STEPS + 3
    both = run.check(2)
    assert [(check.seed, check.number) for check in both.checks] == [(0, 0), (1, 0)]
    assert run.stored() == 2 * (STEPS + 3)
    assert both.checks[0] == one.checks[0]
    assert both.words == "2 of 4 events checked (artefact: 2)"
    with pytest.raises(InputError, match="is 0, expected at least 1"):
        run.check(0)


def test_events_that_go_side_by_side_do_not_know_of_each_other(make_run):
    run = make_run(hydrogens=(1, 4), fails_below=0.9)
    first, second = run.check(2).checks
    # the spring holds the first hydrogen only, and has no label where that one is too near
    assert (first.outcome, second.outcome) == (UNPHYSICAL, UNPHYSICAL)
    assert (first.event.atoms, second.event.atoms) == ((1, 0), (4, 3))
    alone = make_run("alone", hydrogens=(1, 4), fails_below=0.9).check(1)
    assert alone.checks[0] == first


def test_without_events_there_is_nothing_to_buy(make_run):
    run = make_run(hydrogens=())
    checks = run.check(3)
    assert (checks.events, checks.checks, checks.words) == (0, (), "there is no event to check")
    assert toy_references.CALLS == []


def test_the_labels_are_counted_beforehand_and_apart(make_run):
    run = make_run()
    counted = plan(run.settings)
    assert counted.event_labels == 2 * (STEPS + 3)
    assert counted.evaluation_labels == 3 * 20


def test_the_command_says_what_it_will_buy_and_what_came_of_it(make_run, monkeypatch):
    run = make_run(hydrogens=(1, 4))
    monkeypatch.setenv("COLUMNS", "200")
    root = str(run.layout.root)
    done = CliRunner().invoke(app, ["analyze", root])
    assert done.exit_code == 0
    assert not run.layout.evaluation("event_checks").exists()
    done = CliRunner().invoke(app, ["analyze", root, "--check-events", "1"])
    assert done.exit_code == 0, done.output
    assert f"checking 1 of 2 events takes up to {STEPS + 3} labels by toy_references:spring" in done.output
    assert "1 of 2 events checked (artefact: 1)" in done.output
    assert run.layout.evaluation("event_checks").exists()


def test_a_network_as_teacher_pulls_a_hydrogen_back(tiny_folder, tmp_path):
    reference = {"engine": "teacher", "settings": {"model": "cobalt-mini"}}
    run = Run(tmp_path / "teacher", tiny_folder, reference, timestep=0.5)
    atoms = water_box(4, 6.0)
    run.test(0, atoms, pulled(atoms))
    analyse_events(run.view())
    check = only(run.check())
    assert check.labels == 203
    assert check.outcome == ARTEFACT, check.why
    assert check.drift < 0.1
    jax.clear_caches()
