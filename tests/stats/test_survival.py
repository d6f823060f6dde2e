"""Kaplan–Meier against a textbook, SciPy, and the plain mean where nothing is censored."""

import numpy as np
import pytest
from scipy import stats

from jaxft.stats.survival import kaplan_meier, restricted_mean

# Remission of leukaemia under 6-MP, weeks (Freireich 1963); 0 marks censoring. Klein & Moeschberger, table 4.1
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


@pytest.fixture
def remission():
    return kaplan_meier(np.array(WEEKS, dtype=float), np.array(RELAPSED, dtype=bool))


def test_textbook_survival_and_greenwood(remission):
    assert remission.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert remission.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert remission.deaths.tolist() == [3, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(remission.survival, [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], atol=6e-4)
    wanted = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]
    np.testing.assert_allclose(np.sqrt(remission.variance), wanted, atol=6e-5)
    assert remission.median == 23


def test_scipy_gives_the_same_curve(remission):
    times, died = np.array(WEEKS, dtype=float), np.array(RELAPSED, dtype=bool)
    sf = stats.ecdf(stats.CensoredData(uncensored=times[died], right=times[~died])).sf
    for t in (0.0, 5.9, 6.0, 9.5, 22.5, 34.0):
        assert remission.at(t) == pytest.approx(float(sf.evaluate(t)))


def test_hand_computed_restricted_mean():
    # deaths at 1 and 3 of four runs, censored at 2 and 4: S = 3/4 from 1, 3/8 from 3
    curve = kaplan_meier(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, False]))
    mean, error = restricted_mean(curve, 4.0)
    assert mean == pytest.approx(1 + 2 * 0.75 + 0.375)
    # A_1 = 1.875, A_3 = 0.375; d / n(n - d) = 1/12 and 1/2
    assert error == pytest.approx(np.sqrt(1.875**2 / 12 + 0.375**2 / 2))


def test_without_censoring_it_is_the_mean_of_the_cut_times():
    times = np.random.default_rng(0).exponential(size=25)
    curve = kaplan_meier(times, np.ones(25, dtype=bool))
    for horizon in (0.3, 1.0, 10.0):
        cut = np.minimum(times, horizon)
        mean, error = restricted_mean(curve, horizon)
        assert mean == pytest.approx(cut.mean())
        assert error == pytest.approx(cut.std() / 5)


def test_nobody_died():
    curve = kaplan_meier(np.array([5.0, 5.0, 5.0]), np.zeros(3, dtype=bool))
    assert curve.at(5.0) == 1.0
    assert curve.median is None
    assert restricted_mean(curve, 5.0) == (5.0, 0.0)


def test_everybody_died_so_survival_is_known_for_ever_but_its_variance_is_not():
    curve = kaplan_meier(np.array([1.0, 2.0]), np.array([True, True]))
    assert curve.survival.tolist() == [0.5, 0.0]
    assert curve.at(100.0) == 0.0
    assert np.isnan(curve.variance[-1])
    assert restricted_mean(curve, 100.0)[0] == pytest.approx(1.5)


def test_nothing_is_said_beyond_the_last_observation(remission):
    with pytest.raises(ValueError, match=r"only followed to 35"):
        remission.at(36.0)
    with pytest.raises(ValueError, match="only followed"):
        restricted_mean(remission, 36.0)


@pytest.mark.parametrize(
    ("times", "died"), [([], []), ([1.0], [True, False]), ([-1.0], [True]), ([float("nan")], [True])]
)
def test_nonsense_is_refused(times, died):
    with pytest.raises(ValueError, match="expected"):
        kaplan_meier(np.array(times), np.array(died, dtype=bool))
