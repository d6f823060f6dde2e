"""Each section is there if its record is, and shows the numbers of that record."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from synthetic_records import coverage_record, q_record, write_run

from jaxft.report.cost_records import read_wall_times
from jaxft.report.coverage_figure import coverage_pairs, map_figure, new_pairs, onto_map
from jaxft.report.cross_figure import matrix_figure, tracks
from jaxft.report.event_section import event_times
from jaxft.report.lineage import Descent
from jaxft.report.lineage_figure import tree_places
from jaxft.report.panel_plots import bond_lengths_plot, rdf_plot, scores_plot, shares_plot
from jaxft.report.plots import MOST_POINTS, coverage_plot, q_plot, residual_plot, roc_plot, thinned, tracks_plot
from jaxft.report.q_error_figure import q_error_figure
from jaxft.report.q_figure import q_figure
from jaxft.report.records import read_records
from jaxft.report.roc_figure import roc_figure
from jaxft.report.sections import sections
from jaxft.report.structure_figure import rdf_figure, shown_pairs
from jaxft.report.structure_map import atom_map, error_map, event_map, frame_map

OF_RECORDS = {
    "q": {"Where a model leaves what it was trained on", "Does Q know where the model is wrong?"},
    "coverage": {"What the training sets cover"},
    "cross": {"Every model on every model's frames"},
    "events": {"What happened chemically"},
    "structure": {"Structure"},
}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A run with every record."""
    return read_records(write_run(tmp_path_factory.mktemp("run") / "whole"))


@pytest.fixture(scope="module")
def whole_page(records):
    """Its sections by heading."""
    return {section.heading: section for section in sections(records)}


def table(section, name):
    return list(csv.DictReader(io.StringIO(section.tables[name])))


def html(section):
    return "".join(block for block in section.blocks if isinstance(block, str))


@pytest.mark.parametrize("name", OF_RECORDS)
def test_a_section_needs_its_record(records, whole_page, name):
    assert OF_RECORDS[name] <= set(whole_page)
    without = {section.heading for section in sections(replace(records, **{name: None}))}
    assert set(whole_page) - without == OF_RECORDS[name]


def test_the_verdict_is_first_and_says_every_answer(records):
    first = sections(records)[0]
    assert first.heading == "Verdict"
    for finding in records.verdict.findings:
        assert finding.answer[1:].replace("'", "&#x27;") in html(first)


def test_coverage_stands_beside_its_null(whole_page, records):
    section = whole_page["What the training sets cover"]
    share = next(
        row for row in table(section, "coverage_shares.csv") if row["of"] == "test FT3" and row["element"] == "all"
    )
    assert (float(share["share"]), float(share["null"])) == (0.031, 0.012)
    figure = map_figure(records.coverage, coverage_pairs(records.coverage), True)
    assert "3.1 % outside (null 1.2 %)" in figure.axes[0].get_title(loc="left")
    assert figure.axes[0].get_ylabel() == "PC2 (12 % of the variance)"


def test_what_is_new_is_drawn_over_all_before(records):
    (pair,) = new_pairs(records.coverage)
    assert (pair.of, pair.among, pair.share.share) == ("test FT3", ("FT3",), 0.01)


def test_a_point_far_away_is_drawn_at_the_edge_and_does_not_stretch_the_map(records):
    far = replace(records.coverage.points[0], set="test FT3", pc1=1e6)
    stretched = replace(records.coverage, points=(*records.coverage.points, far))
    x, _ = onto_map(stretched, [far])
    assert x[0] < 10.0


def test_q_is_drawn_with_limit_alarm_and_events(records):
    figure = q_figure(records.q, False, event_times(records.events))
    axes = {ax.get_title(loc="left"): ax for ax in figure.axes}
    lines = [line.get_xydata().tolist() for line in axes["FT3"].lines]
    assert any(y == 2.0 for line in lines for _, y in line)  # the limit of frames
    assert [[0.4, 1.0]] in lines  # the alarm, at the top
    assert [[0.6, 0.04]] in lines  # the event, at the bottom
    assert not any([0.4, 1.0] in line for line in [li.get_xydata().tolist() for li in axes["N-50pts"].lines])


def test_false_alarms_stand_beside_what_limits_promise(whole_page):
    section = whole_page["Where a model leaves what it was trained on"]
    row = table(section, "q_limits.csv")[0]
    assert (row["rate"], row["false_alarms_held_out"], row["false_alarms_jackson-mudholkar"]) == ("0.01", "0.02", "0.5")
    assert "50 %" in html(section)


def test_areas_carry_their_intervals(whole_page, records):
    assert "0.70 (0.65 to 0.75)" in html(whole_page["Does Q know where the model is wrong?"])
    legend = roc_figure(records.q.proxies["atoms"], False).axes[1].get_legend()
    assert "AUROC 0.70 (0.65 to 0.75)" in legend.get_texts()[0].get_text()


def test_every_atom_is_drawn_with_its_error(records, whole_page):
    figure = q_error_figure(records.atoms, records.q.atom_symbols, False)
    points = np.concatenate([collection.get_offsets() for collection in figure.axes[0].collections])
    assert len(points) == len(records.atoms.models[0].q)
    assert np.allclose(points[:, 1], 0.1 * points[:, 0])
    assert len(table(whole_page["Does Q know where the model is wrong?"], "atoms.csv")) == len(points)


def test_an_atom_of_the_map_of_errors_is_the_one_of_its_record(records):
    found = error_map(records)
    q, error = (found["properties"][name]["values"] for name in ("Q/limit", "force error"))
    assert np.allclose(error, 0.1 * np.array(q))
    assert len(found["environments"]) == len(q)
    assert {k for k, *_ in found["environments"]} == set(range(len(found["structures"])))


def test_a_proxy_that_was_not_judged_says_why(records):
    unjudged = replace(records, q=q_record(proxies={}, no_proxy="no labelled frame"))
    section = next(s for s in sections(unjudged) if s.heading.startswith("Does Q know"))
    assert "Not judged: no labelled frame." in html(section)
    assert section.pictures == ()


def test_energies_of_all_models_are_on_one_axis_with_the_reference(records):
    found = {track.frames_of: track for track in tracks(records.cross, records.residuals)}
    assert set(found) == {"N-50pts", "FT3"}
    track = found["FT3"]
    assert track.reference[0] == 0.0
    assert set(track.models) == {model.name for model in records.residuals.models}
    # FT3 is the last of seven models, whose made-up residual is 6 meV/atom
    assert track.models["FT3"][3] - track.reference[3] == pytest.approx(0.006)


def test_the_matrix_has_the_model_in_its_row(records):
    left, right = matrix_figure(records.cross, False).axes
    assert left.get_yticklabels()[-1].get_text() == "FT3"
    assert left.images[0].get_array()[-1].tolist() == pytest.approx([6.0] * 7)
    assert right.images[0].get_array()[-1].tolist() == pytest.approx([6100.0] * 7)


def test_structure_shows_the_reference_and_its_bands(records):
    ax = rdf_figure(records.structure, records.residuals).axes[0]
    assert [line.get_label() for line in ax.lines] == ["test N-50pts", "test FT3", "common set"]
    assert len(ax.collections) == 3
    assert shown_pairs(records.structure.sets) == [("Co", "O")]


def test_every_event_is_listed_with_the_alarm_before_it(whole_page):
    (event,) = table(whole_page["What happened chemically"], "events.csv")
    assert (event["model"], event["time_ps"], event["atoms"], event["lead_ps"]) == ("FT3", "0.6", "Co0 Cl1", "0.2")


def test_what_the_reference_said_of_events_is_shown(records, whole_page):
    section = whole_page["What happened chemically"]
    (check,) = table(section, "event_checks.csv")
    assert (check["model"], check["outcome"], check["reference_fs"]) == ("FT3", "artefact", "100")
    assert "Co0-Cl1 parted after 40 fs" in html(section)


def test_the_tree_has_children_right_of_their_parents():
    def one(name, parent):
        return Descent(name, "s", parent, 1, None, "", "", "", "", None, None, None)

    places = tree_places([one("A", "base"), one("B", "base"), one("C", "B"), one("lost", "unknown")])
    assert places == {"base": (0, 0), "A": (1, 0), "B": (1, 1), "C": (2, 1), "lost": (1, 2)}


def test_wall_times_are_those_of_the_log(tmp_path):
    (tmp_path / "log.txt").write_text(
        "2026-01-01 00:00:00  dynamics naive: 10 steps in 2.5 s, 1 ns/day\n"
        "2026-01-01 00:00:00  dynamics test-FT1: 10 steps in 4.0 s\n"
        "2026-01-01 00:00:00  labels test-FT1: 3 labels in 1.0 s\n"
        "2026-01-01 00:00:00  dynamics naive: 10 steps in 0.5 s\n"
        "something else in 7.0 s, that is no step\n"
    )
    assert read_wall_times(tmp_path) == {
        "dynamics for sampling": 3.0,
        "dynamics of tests": 4.0,
        "labels for evaluation": 1.0,
    }


def test_maps_hold_the_structures_that_the_points_are_of(records):
    frames, atoms, snapshots = frame_map(records), atom_map(records), event_map(records)
    n_frames = sum(len(series.times_fs) for model in records.residuals.models for series in model.seeds)
    assert len(frames["structures"]) <= n_frames
    residuals = frames["properties"]["residual"]["values"]
    assert len(residuals) == len(frames["structures"])
    # three frames of five atoms on the map, of two training sets and of two models' labelled frames
    assert len(atoms["environments"]) == 4 * 3 * 5
    assert len(atoms["structures"]) == 4 * 3
    assert all(atom < len(atoms["structures"][k]) for k, atom, _ in atoms["environments"])
    assert len(snapshots["structures"]) == 3


def test_the_residual_of_a_frame_on_the_map_is_that_of_its_record(records):
    found = frame_map(records)["properties"]
    first = records.residuals.models[0]
    assert found["residual"]["values"][0] == pytest.approx(first.seeds[0].residuals[0] * 1e3)
    assert found["time"]["values"][0] == pytest.approx(first.seeds[0].times_fs[0] / 1e3)


def test_a_long_line_keeps_its_peaks():
    values = [0.0] * 10_000
    values[7777] = 5.0
    times, shown = thinned([float(k) for k in range(10_000)], values)
    assert len(shown) <= MOST_POINTS
    assert times[shown.index(5.0)] == 7777.0


def test_figures_that_move_are_valid_for_plotly(records):
    go = pytest.importorskip("plotly.graph_objects")
    result = records.residuals
    judged = records.q.proxies["atoms"]
    found = tracks(records.cross, result)
    for plot in (
        residual_plot(result),
        q_plot(records.q),
        coverage_plot(coverage_record()),
        roc_plot(judged),
        tracks_plot(found),
        scores_plot(result),
        shares_plot(coverage_record()),
        rdf_plot(records.structure, result),
        bond_lengths_plot(records.structure, result),
    ):
        go.Figure(plot)  # raises ValueError for a property that plotly does not know
        assert plot["data"]


def test_panels_stand_in_two_columns_and_share_a_legend(records):
    plot = scores_plot(records.residuals)
    layout = plot["layout"]
    domains = [layout[f"{axis}axis{k}"]["domain"] for axis in "xy" for k in ("", 2, 3, 4)]
    assert domains[0] == domains[2] != domains[1] == domains[3]
    assert domains[4] == domains[5] != domains[6] == domains[7]
    assert all(0 <= low < high <= 1 for low, high in domains)
    in_legend = [one["name"] for one in plot["data"] if one["showlegend"]]
    assert len(in_legend) == len(set(in_legend))
    assert {one["name"] for one in plot["data"]} == set(in_legend)


def test_a_panel_plot_holds_the_numbers_of_the_record(records):
    [naive] = [one for one in scores_plot(records.residuals)["data"] if one["name"] == "naive" and one["yaxis"] == "y4"]
    models = [model for model in records.residuals.models if model.strategy == "naive"]
    assert naive["x"] == [model.budget for model in models]
    expected = [1000 * model.scores.forces.rmse.value for model in models]
    assert naive["y"] == pytest.approx(expected, rel=1e-5)
