"""Numbers as readers see them."""

import pytest

from jaxft.analysis.wording import in_mev, in_ps, number, with_error


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (10.345, 1.234, "+10.3 ± 1.2"),
        (-3.071, 0.644, "−3.1 ± 0.6"),
        (-2.0, 0.96, "−2.00 ± 0.96"),
        (0.02, 0.3, "0.0 ± 0.3"),
        (90.6, 98.7, "+91 ± 99"),
        (1234.5, 151.0, "+1234 ± 151"),
        (10.345, None, "+10.3"),
        (10.3, 0.0, "+10.3 ± 0.0"),
        (None, None, "–"),
    ],
)
def test_a_value_has_the_decimals_of_its_error(value, error, text):
    assert with_error(value, error, signed=True) == text


def test_without_error_three_digits():
    assert [number(x) for x in (298.23, 90.94, 5.815, 0.0512)] == ["298", "90.9", "5.82", "0.051"]


def test_units():
    assert in_mev(0.01) == pytest.approx(10.0)
    assert in_ps(2500.0) == 2.5
    assert in_mev(None) is in_ps(None) is None
