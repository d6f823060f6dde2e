"""The strategies as decisions, on a bench of plain functions that writes down what it is asked for."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from ase import Atoms

from jaxft.finetune.offset import fit_offset
from jaxft.strategies.accept import accept_labels
from jaxft.strategies.bench import Leg, Model
from jaxft.strategies.independence import independence
from jaxft.strategies.naive import ordered_frames, run_naive
from jaxft.strategies.periodic import even_picks, run_periodic
from jaxft.strategies.stretch import describe_stretch
from jaxft.structures.dataset import LabelledStructure


def frame(*tag):
    return Atoms("H", info={"tag": tag})


def tag(labelled):
    return labelled.atoms.info["tag"]


@dataclass
class FakeBench:
    base: object = "base potential"
    frames_per_leg: int = 12
    refuse: tuple = ()
    stop_round: str | None = None
    asked: list = field(default_factory=list)

    def sample_replicas(self, name, potential, replicas, share):
        self.asked.append(("sample", name, potential, replicas, share))
        frames = [[frame(name, r, k) for k in range(self.frames_per_leg)] for r in range(replicas)]
        return Leg(frames, [np.zeros(self.frames_per_leg)] * replicas, 10.0, [None] * replicas)

    def sample_onward(self, name, potential, previous, restart_from):
        restart = None if restart_from is None else restart_from.info["tag"]
        self.asked.append(("onward", name, potential, previous, restart))
        stopped = name == self.stop_round
        n = self.frames_per_leg // 2 if stopped else self.frames_per_leg
        frames = [frame(name, k) for k in range(n)]
        return Leg([frames], [np.zeros(n)], 10.0, [(60.0, "runaway temperature") if stopped else None])

    def label(self, frames):
        tags = [f.info["tag"] for f in frames]
        self.asked.append(("label", tags))
        return [
            "too strong" if t in self.refuse else LabelledStructure(f, -1.0, np.zeros((1, 3)))
            for f, t in zip(frames, tags, strict=True)
        ]

    def finetune(self, model, strategy, parent, data, picked):
        data = list(data)
        assert sum(stretch.picks for stretch in picked) == len(data)
        self.asked.append(("finetune", model, parent, len(data)))
        offset = fit_offset([d.atoms for d in data], np.zeros(len(data)))
        return Model(model, strategy, len(data), parent, f"potential of {model}", offset, data)

    def labels_bought(self):
        return [t for kind, *rest in self.asked if kind == "label" for t in rest[0]]


def test_naive_budgets_are_prefixes_of_one_list_and_start_from_the_base():
    bench = FakeBench()
    models = run_naive(bench, [4, 9, 12], replicas=3).models
    assert [m.name for m in models] == ["N-4pts", "N-9pts", "N-12pts"]
    assert {m.parent for m in models} == {"base"}
    longest = [tag(d) for d in models[-1].data]
    for model in models:
        assert [tag(d) for d in model.data] == longest[: model.budget]
    assert len(set(longest)) == 12


def test_naive_spends_the_same_steps_as_periodic():
    bench = FakeBench()
    run_naive(bench, [2, 4, 6, 8], replicas=8)
    _, _, potential, replicas, share = bench.asked[0]
    assert potential == "base potential"
    assert replicas * share == pytest.approx(4)  # rounds


def test_every_prefix_of_the_naive_list_is_spread_over_replicas_and_time():
    bench = FakeBench(frames_per_leg=16)
    order = ordered_frames(bench.sample_replicas("naive", None, 4, 1.0))
    assert len(order) == len(set(order)) == 64
    for n in (4, 8, 16):
        per_replica = np.bincount([r for r, _ in order[:n]], minlength=4)
        assert np.ptp(per_replica) <= 1
    first_half = [k < 8 for _, k in order[:16]]
    assert 6 <= sum(first_half) <= 10


def test_a_stretch_says_when_its_energy_settled_and_how_long_its_memory_is():
    rng = np.random.default_rng(0)
    steady = rng.normal(size=200)
    drifting = steady + 50.0 * np.exp(-np.arange(200) / 20.0)
    for energies, settled in ((steady, True), (drifting, False)):
        stretch = describe_stretch("naive", 1, energies, 40, 10.0, None)
        assert stretch.settled is settled
        assert (stretch.equilibration_fs, stretch.production_fs) == (400.0, 1600.0)
    assert describe_stretch("naive", 0, steady, 40, 10.0, None).tau_fs == pytest.approx(5.0, rel=0.2)
    short = describe_stretch("naive", 0, steady[:5], 4, 10.0, "too hot")
    assert (short.settled, short.tau_fs, short.stopped) == (None, None, "too hot")


def test_a_replica_that_stopped_early_contributes_what_it_has():
    leg = Leg([[frame(0, k) for k in range(8)], [frame(1, 0)]], [np.zeros(8), np.zeros(1)], 10.0, [None, (10.0, "x")])
    order = ordered_frames(leg)
    assert len(order) == 9
    assert [k for r, k in order if r == 1] == [0]


def test_refused_labels_are_replaced_by_the_next_frames_and_none_is_bought_too_many():
    bench = FakeBench()
    frames = [frame(k) for k in range(10)]
    bench.refuse = ((1,), (3,), (4,))
    accepted = accept_labels(frames, 4, bench.label)
    assert [tag(d) for _, d in accepted.labelled] == [(0,), (2,), (5,), (6,)]
    assert bench.labels_bought() == [(k,) for k in range(7)]


def test_where_everything_is_refused_buying_ends_and_the_reason_is_told():
    bench = FakeBench(frames_per_leg=100, refuse=tuple(("naive", r, k) for r in range(3) for k in range(100)))
    arm = run_naive(bench, [4, 8], replicas=3)
    assert len(bench.labels_bought()) == 16
    assert arm.models == []
    assert "accepted 0 labels of the 4" in arm.failure
    assert "too strong" in arm.failure


def test_too_few_frames_keep_the_models_whose_budget_was_reached():
    arm = run_naive(FakeBench(frames_per_leg=4), [10, 20, 30], replicas=3)
    assert [m.name for m in arm.models] == ["N-10pts"]
    assert "accepted 12 labels of the 20" in arm.failure


def test_replicas_that_all_stop_in_equilibration_are_a_failed_arm_and_no_crash():
    arm = run_naive(FakeBench(frames_per_leg=0), [2], replicas=3)
    assert arm.models == []
    assert "out of 0 frames" in arm.failure


def test_periodic_goes_on_under_the_newest_potential_and_trains_on_all_labels_so_far():
    bench = FakeBench()
    models = run_periodic(bench, [4, 9, 12]).models
    onward = [rest for kind, *rest in bench.asked if kind == "onward"]
    assert onward == [
        ["periodic-1", "base potential", None, None],
        ["periodic-2", "potential of FT1", "periodic-1", None],
        ["periodic-3", "potential of FT2", "periodic-2", None],
    ]
    assert [(m.name, m.parent, m.budget) for m in models] == [("FT1", "base", 4), ("FT2", "FT1", 9), ("FT3", "FT2", 12)]
    assert [tag(d) for d in models[-1].data][:9] == [tag(d) for d in models[1].data]
    assert len(bench.labels_bought()) == 12


def test_weights_may_start_from_the_base_each_time_while_the_trajectory_goes_on():
    bench = FakeBench()
    models = run_periodic(bench, [4, 9, 12], "base").models
    onward = [rest for kind, *rest in bench.asked if kind == "onward"]
    assert [potential for _, potential, _, _ in onward] == ["base potential", "potential of FT1", "potential of FT2"]
    assert [model.parent for model in models] == ["base"] * 3
    assert [model.budget for model in models] == [4, 9, 12]


def test_a_round_stopped_by_a_guard_counts_its_frames_and_the_next_starts_anew():
    bench = FakeBench(stop_round="periodic-2")
    models = run_periodic(bench, [4, 8, 12]).models
    assert [m.budget for m in models] == [4, 8, 12]
    name, _, previous, restart = [rest for kind, *rest in bench.asked if kind == "onward"][2]
    assert (name, previous, restart) == ("periodic-3", "periodic-2", ("periodic-2", 5))


def test_a_round_with_too_few_frames_says_why():
    bench = FakeBench(frames_per_leg=6, stop_round="periodic-2")
    arm = run_periodic(bench, [5, 10, 15])
    assert [m.name for m in arm.models] == ["FT1"]
    assert "round 2 accepted 3 labels of the 5" in arm.failure
    assert "runaway" in arm.failure


@pytest.mark.parametrize(("n", "picks"), [(12, 4), (13, 5), (5, 5), (40, 1)])
def test_even_picks_end_with_the_last_frame_and_are_evenly_spaced(n, picks):
    order = even_picks(n, picks)
    assert sorted(order) == list(range(n))
    chosen = order[:picks]
    assert chosen[-1] == n - 1
    assert np.ptp(np.diff([-1, *chosen])) <= 1


def test_a_substitute_is_the_frame_farthest_from_those_chosen():
    order = even_picks(40, 5)
    assert order[:5] == [7, 15, 23, 31, 39]
    assert min(abs(order[5] - k) for k in order[:5]) >= 4


def test_picks_from_a_correlated_series_do_not_all_count():
    rng = np.random.default_rng(0)
    x = np.zeros(4000)
    for k in range(1, len(x)):
        x[k] = 0.98 * x[k - 1] + rng.normal()
    dense, sparse = independence(x, 10.0, 1000), independence(x, 10.0, 10)
    assert not dense.far_enough
    assert sparse.far_enough
    assert dense.n_effective < 80
    assert sparse.n_effective > 9
    assert dense.tau_fs == pytest.approx(500, rel=0.4)


def test_a_stretch_too_short_to_tell_counts_once():
    assert independence(np.zeros(3), 10.0, 3).n_effective == 1.0
