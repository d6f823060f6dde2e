"""Figures show what is in the record, and are the same bytes each time."""

import io
import struct

import matplotlib
import numpy as np
import pytest
from matplotlib import image
from synthetic_runs import model_test, run

from jaxft.report.residual_figure import residual_figure
from jaxft.report.residual_section import residual_pictures as pictures
from jaxft.report.scores_figure import scores_figure
from jaxft.report.style import budget_colours, png, strategy_styles


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def titles_of(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def chunks(data):
    """Names of the chunks of a PNG file."""
    position, names = 8, []
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        names.append(data[position + 4 : position + 8].decode())
        position += 12 + length
    return names


def test_naive_and_periodic_stand_side_by_side_on_one_axis(whole):
    figure = residual_figure(whole)
    assert titles_of(figure) == ["naive", "periodic"]
    left, right = figure.axes
    assert left.get_ylim() == right.get_ylim()
    assert left.get_position().y0 == right.get_position().y0


def test_every_seed_of_every_model_is_drawn_in_mev_and_ps(whole):
    drawn = [line.get_xydata() for line in residual_figure(whole).axes[0].lines]
    for model in whole.models:
        if model.strategy == "periodic":
            continue
        for series in model.seeds:
            expected = np.array([series.times_fs, series.residuals]).T * [1e-3, 1e3]
            assert any(data.shape == expected.shape and np.allclose(data, expected) for data in drawn)


def test_plateaus_carry_their_band(whole):
    left = residual_figure(whole).axes[0]
    naive = next(model for model in whole.models if model.name == "N-50pts").scores.plateau.residual
    bands = [band.get_datalim(left.transData).intervaly for band in left.collections]
    expected = np.array([naive.value - naive.error, naive.value + naive.error]) * 1e3
    assert any(np.allclose(band, expected) for band in bands)


def test_marks_are_explained_only_where_they_occur(whole, short):
    assert {"stopped by a guard", "label failed"} < set(legend_of(residual_figure(whole)))
    assert "off scale" not in legend_of(residual_figure(whole))
    assert "plateau, no error bar" in legend_of(residual_figure(short))
    assert "stopped by a guard" not in legend_of(residual_figure(short))


def test_a_catastrophe_is_drawn_at_the_edge(recorded):
    seeds = [run(0), run(1), run(2, mean=50.0, stop_fs=2000.0)]
    figure = residual_figure(recorded([model_test(seeds=seeds)]))
    assert figure.axes[0].get_ylim()[1] < 200
    assert "off scale" in legend_of(figure)


def test_one_colour_for_each_budget_from_dark_to_light():
    colours = budget_colours([50, 10, 31, 10])
    assert list(colours) == [10, 31, 50]
    brightness = [sum(colour[:3]) for colour in colours.values()]
    assert brightness == sorted(brightness)
    assert len(set(colours.values())) == 3


def test_further_strategies_get_styles_of_their_own():
    styles = strategy_styles(["naive", "rattled", "periodic", "adaptive"])
    assert len(set(styles.values())) == 4
    assert styles["naive"] == strategy_styles(["naive"])["naive"]


def test_scores_have_four_panels_with_error_bars(whole, short):
    figure = scores_figure(whole)
    assert len(figure.axes) == 4
    assert all(len(ax.containers) == 6 for ax in figure.axes)
    assert "open: no error bar" not in legend_of(figure)
    assert "open: no error bar" in legend_of(scores_figure(short))


def test_a_demonstration_says_so_in_the_picture(whole, short):
    for draw in (residual_figure, scores_figure):
        assert draw(whole).get_suptitle() == "demonstration, not evidence"
        assert draw(short).get_suptitle() == ""


def test_same_record_same_bytes_whatever_the_user_has_set(whole):
    before = [picture.data for picture in pictures(whole)]
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        again = [picture.data for picture in pictures(whole)]
        assert matplotlib.rcParams["font.size"] == 30
    assert before == again


def test_pictures_hold_no_date_and_no_software(whole):
    for picture in pictures(whole):
        assert set(chunks(picture.data)) <= {"IHDR", "pHYs", "IDAT", "IEND"}


def test_nothing_is_cut_off_at_the_edges(whole, short):
    for result in (whole, short):
        for picture in pictures(result):
            pixels = image.imread(io.BytesIO(picture.data))[..., :3]
            frame = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            assert (frame == 1.0).all()


def test_what_can_be_drawn_is_drawn(recorded, whole_study):
    base, naive = whole_study[0], whole_study[1]
    assert [p.name for p in pictures(recorded([base]))] == ["residuals"]
    assert [p.name for p in pictures(recorded([naive]))] == ["residuals", "scores"]
    assert pictures(recorded([])) == []


def test_drawing_twice_gives_independent_figures(whole):
    first = residual_figure(whole)
    first.clear()
    assert len(residual_figure(whole).axes) == 2
    assert png(residual_figure(whole)).startswith(b"\x89PNG")


@pytest.mark.parametrize("strategies", [3, 4])
def test_more_strategies_fill_more_rows(recorded, strategies):
    names = ["naive", "periodic", "adaptive", "rattled"][:strategies]
    figure = residual_figure(recorded([model_test(f"m{n}", n, 10, seeds=[run(0)]) for n in names]))
    assert titles_of(figure) == names
