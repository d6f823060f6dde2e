"""The verdict says what the records bear out, and no more."""

from dataclasses import replace

import pytest
from synthetic_records import checks, coverage_record, cross_record, events, proxies, q_record, structure_record
from synthetic_runs import model_test, run, study

from jaxft.analysis.compare_strategies import Score, better_of, compare_strategies
from jaxft.analysis.enough_labels import enough_labels
from jaxft.analysis.event_finding import event_finding
from jaxft.analysis.event_record import EventsRecord
from jaxft.analysis.proxy_finding import proxy_finding
from jaxft.analysis.residuals import read_residuals, residuals_record, write_residuals
from jaxft.analysis.structure_finding import structure_finding
from jaxft.analysis.trust import trust, trusted_until
from jaxft.analysis.verdict import read_verdict, verdict, write_verdict
from jaxft.analysis.went_wrong import went_wrong
from jaxft.stats.bootstrap import Interval


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Function: tests of models -> what is read back from their record."""

    def through_disk(tests, **options):
        path = tmp_path_factory.mktemp("record") / "residuals.json"
        write_residuals(path, residuals_record(tests, **{"demonstration": False, **options}))
        return read_residuals(path)

    return through_disk


@pytest.fixture(scope="module")
def whole(recorded):
    """Periodic has the smaller drift, spread and force error at 50 labels."""
    return recorded(study())


def words(finding):
    return " ".join((finding.answer, *finding.sentences))


def test_the_better_strategy_is_named_with_its_scores_and_no_p_value(whole):
    found = compare_strategies(whole, None)
    assert found.answer.startswith("periodic in this run, on 3 of 4 scores")
    assert "one pair" in found.answer
    assert "no p-value" in words(found)
    assert "at least 6 runs" in words(found)
    drift = {model.name: abs(model.scores.drift.drift.value) * 1e3 for model in whole.models}
    assert found.numbers["naive: size of the drift, meV/atom"] == pytest.approx(drift["N-50pts"])
    assert found.numbers["periodic: size of the drift, meV/atom"] == pytest.approx(drift["FT3"])


@pytest.mark.parametrize(("start", "said"), [("parent", True), ("base", False)])
def test_a_chain_that_was_trained_longer_is_said_to_be(recorded, start, said):
    settings = {"budgets": [10, 25, 50], "finetune": {"updates": 600}, "periodic": {"weights_from": start}}
    found = words(compare_strategies(recorded(study(), settings=settings), None))
    assert ("has had up to 1800 in all" in found) is said


def test_a_demonstration_is_evidence_for_nothing(whole):
    assert "neither for nor against" in words(compare_strategies(replace(whole, demonstration=True), None))
    assert "neither for nor against" not in words(compare_strategies(whole, None))


def test_short_tests_tell_nothing_apart(recorded):
    short = [
        model_test(n, s, 10, seeds=[run(k, n_frames=3)]) for k, (n, s) in enumerate((("N", "naive"), ("F", "periodic")))
    ]
    found = compare_strategies(recorded(short), None)
    assert found.answer.startswith("can't be told: no score")


def test_one_strategy_is_not_compared(recorded):
    assert compare_strategies(recorded(study()[:4]), None).answer == "can't be told"
    different = [model_test("N", "naive", 10, seeds=[run(0)]), model_test("F", "periodic", 20, seeds=[run(1)])]
    assert "equal budgets" in words(compare_strategies(recorded(different), None))


@pytest.mark.parametrize(
    ("first", "second", "smaller", "better"),
    [
        ((3.0, 0.5), (1.0, 0.5), True, 1),
        ((1.0, 0.5), (3.0, 0.5), True, 0),
        ((1.0, 0.5), (3.0, 0.5), False, 1),
        ((2.0, 0.5), (1.0, 0.5), True, None),  # 1.0 is below 2 √0.5
        ((9.0, None), (1.0, 0.5), True, None),
        ((None, None), (1.0, 0.5), True, None),
    ],
)
def test_scores_are_told_apart_beyond_twice_the_error_of_their_difference(first, second, smaller, better):
    assert better_of(Score("s", "u", *first, smaller), Score("s", "u", *second, smaller)) == better


def budgets(recorded, means, **options):
    """Periodic models whose residuals settle at ``means``."""
    tests = [
        model_test(
            f"FT{k + 1}",
            "periodic",
            10 * (k + 1),
            seeds=[run(10 * k + s, mean=m, n_frames=40, **options) for s in range(3)],
        )
        for k, m in enumerate(means)
    ]
    return enough_labels(recorded(tests))


def test_labels_are_enough_when_nothing_changes_for_two_stages(recorded):
    assert "enough by the rule, as far as" in budgets(recorded, (0.02, 0.0, 0.0, 0.0)).answer
    assert "not enough by the rule" in budgets(recorded, (0.02, 0.01, 0.0)).answer


def test_a_bias_that_stays_is_said_even_where_labels_are_enough(recorded):
    assert "the drift is still +10" in budgets(recorded, (0.0101, 0.0101, 0.0101)).answer


def test_the_smallest_change_that_could_be_seen_is_said(recorded):
    assert "would not have been seen" in words(budgets(recorded, (0.0, 0.0, 0.0)))


def test_two_budgets_or_scores_without_errors_can_not_tell(recorded):
    assert "the rule needs 3" in budgets(recorded, (0.0, 0.0)).answer
    short = [model_test(f"FT{k}", "periodic", k, seeds=[run(k, n_frames=3)]) for k in (5, 6, 7)]
    assert "without error bars" in enough_labels(recorded(short)).answer


def test_trust_ends_with_the_first_test_that_ends_or_with_their_length(recorded):
    stopped = recorded([model_test(seeds=[run(0), run(1, stop_fs=2000.0)])])
    assert trusted_until(stopped.models[0]) == 2000.0
    assert "its first test ended at 2.00 ps" in trust(stopped, None, None, None).answer
    lasting = trust(recorded([model_test(seeds=[run(0), run(1)])]), None, None, None)
    assert "no test ended within 5.00 ps, nothing is known beyond" in lasting.answer
    # nothing in 10 ps: -ln(0.05)/10
    assert lasting.numbers["FT1: rate of ends below (95 %), per ps"] == pytest.approx(0.29957, rel=1e-4)


def test_alarms_and_coverage_cast_their_doubt(whole):
    found = trust(whole, q_record(), coverage_record(), None)
    assert "FT3: no test ended within 5.00 ps, nothing is known beyond, and Q alarms from 0.400 ps on" in found.answer
    assert "alarm in 1 of 2 tests, first at 0.400 ps (Co atom 0, seed 0)" in words(found)
    assert "3.1 % of the atoms" in words(found)
    assert "(between halves of the training set: 1.2 %)" in words(found)


def test_limits_from_few_frames_make_alarms_provisional(whole):
    few = replace(q_record(), models=tuple(replace(m, enough=False) for m in q_record().models))
    assert "provisional" in words(trust(whole, few, None, None))
    assert "provisional" not in words(trust(whole, q_record(), None, None))


def test_what_went_wrong_names_run_time_and_reason(whole):
    found = went_wrong(whole, q_record())
    assert found.answer == "2 tests ended early, 1 evaluation label failed"
    assert "N-10pts, seed 1: ended at 3.10 ps, two atoms too close." in found.sentences
    assert found.numbers["models with a Q alarm"] == 1


@pytest.mark.parametrize(
    ("judged", "answer"),
    [
        (proxies(), "yes, of the signals compared"),
        (proxies(beaten=False), "no: better than chance, but not shown to beat force"),
        (proxies(q=0.52), "no: not better than chance"),
        ([replace(proxies()[0], auroc=Interval(0.7, None, None, 0.95, 3))], "can't be told: too few trajectories"),
    ],
)
def test_q_is_a_good_proxy_only_if_it_beats_chance_and_every_rival(judged, answer):
    assert proxy_finding(q_record(proxies={"atoms": tuple(judged)})).answer.startswith(answer)


def test_a_rival_that_was_not_there_is_named():
    assert "Not compared with: committee spread, distance to the nearest training environment" in words(
        proxy_finding(q_record())
    )


def test_without_labelled_frames_the_proxy_is_not_judged():
    found = proxy_finding(q_record(proxies={}, no_proxy="no labelled frame of any model's dynamics"))
    assert found.answer == "can't be told"
    assert "no labelled frame" in words(found)


def test_events_are_counted_and_silence_bounds_their_rate():
    found = event_finding(events())
    assert found.answer == "coordination change: 1; an alarm of Q came before 1 of 1 event"
    assert "test of N-50pts: no event in 5.00 ps, so a rate below 0.599 per ps (95 %)." in found.sentences
    assert "No lead time" in words(found)
    assert "no event was checked" in words(found)
    assert event_finding(EventsRecord((), None, None)).answer == "no event was found"


def test_an_event_is_called_an_artefact_only_where_the_reference_says_so():
    found = event_finding(events(), checks())
    assert found.answer.endswith("1 of 1 events checked (artefact: 1)")
    assert "Co0: CoCl3O -> CoCl4: artefact, Co0-Cl1 parted after 40 fs." in words(found)
    assert found.numbers["checked by the reference: artefact"] == 1


def test_structure_is_judged_against_the_reference_alone():
    apart = structure_finding(structure_record(number=5.0), ["FT3"])
    assert apart.answer == "coordination differs: Co in FT3"
    alike = structure_finding(structure_record(number=4.2), ["FT3"])
    assert alike.answer.startswith("no difference in coordination was seen, in the ")
    assert "can't be told" in structure_finding(structure_record(reference=False), ["FT3"]).answer


def test_a_verdict_comes_back_from_disk_and_names_what_it_lacks(whole, tmp_path):
    every = verdict(whole, q_record(), coverage_record(), cross_record(whole), events(), structure_record())
    write_verdict(tmp_path / "verdict.json", every)
    back = read_verdict(tmp_path / "verdict.json")
    assert [f.answer for f in back.findings] == [f.answer for f in every.findings]
    assert len(back.findings) == 7
    assert back.missing == ()


def test_a_verdict_is_made_of_whatever_there_is(whole):
    assert [f.question for f in verdict(None, q_record(), None, None).findings] == [proxy_finding(q_record()).question]
    empty = verdict(None, None, None, None)
    assert empty.findings == ()
    assert "no tests of models yet" in empty.missing
    assert len(verdict(whole, None, None, None).findings) == 4
