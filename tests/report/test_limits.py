"""Axes reach over what belongs together."""

from jaxft.report.limits import axis_limits


def test_all_values_and_zero_are_inside():
    low, high = axis_limits([3.0, 5.0, 9.0])
    assert low < 0.0
    assert high > 9.0


def test_one_catastrophe_does_not_stretch_the_axis():
    low, high = axis_limits([-5.0, 3.0, 4.0, 6.0, 8.0, 10.0, 9.0, 7.0, 1e6])
    assert low < -5.0
    assert 10.0 < high < 12.0


def test_equal_values_have_an_axis():
    low, high = axis_limits([0.0, 0.0])
    assert low < 0.0 < high
