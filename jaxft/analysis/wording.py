"""How numbers are written in sentences, figures and tables: rounded to what their error bars carry, units apart.

Only conversion to meV and ps, digits and signs. Nothing is computed.
"""

import math
from typing import overload

from jaxft.units import MEV

PICOSECOND = 1000.0
"""One ps in fs."""

MOST_DECIMALS = 3


@overload
def in_mev(value: float) -> float: ...
@overload
def in_mev(value: None) -> None: ...
def in_mev(value: float | None) -> float | None:
    """EV to meV; None stays None."""
    return None if value is None else value / MEV


@overload
def in_ps(value_fs: float) -> float: ...
@overload
def in_ps(value_fs: None) -> None: ...
def in_ps(value_fs: float | None) -> float | None:
    """Fs to ps; None stays None."""
    return None if value_fs is None else value_fs / PICOSECOND


def number(value: float | None, error: float | None = None, *, signed: bool = False) -> str:
    """A value to the decimals of its error, or to three digits without one; "–" for None."""
    if value is None:
        return "–"
    return _fixed(value, _decimals(value, error), signed)


def with_error(value: float | None, error: float | None, *, signed: bool = False) -> str:
    """ "+10.3 ± 1.2", with the decimals of the error; without an error the value alone."""
    text = number(value, error, signed=signed)
    return text if value is None or error is None else f"{text} ± {_fixed(error, _decimals(value, error), False)}"


def percent(share: float | None) -> str:
    """A share as "2.8 %", one decimal below a tenth; "–" for None."""
    if share is None:
        return "–"
    return f"{100.0 * share:.{1 if abs(share) < 0.1 else 0}f} %"


def several(names: list[str], most: int = 6) -> str:
    """Names in a row, the first few of many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _decimals(value: float, error: float | None) -> int:
    """Decimals that leave the error two digits where it begins with 1 or 2, else one; the value three without error."""
    if error:
        digits = 2 if f"{error:.0e}"[0] in "12" else 1
        exponent = _exponent(error, digits)
    else:
        digits, exponent = 3, _exponent(value, 3)
    return min(max(digits - 1 - exponent, 0), MOST_DECIMALS)


def _exponent(value: float, digits: int) -> int:
    # of the rounded value: 0.0996 is 0.10 to two digits, not 0.100
    return int(f"{value:.{digits - 1}e}".split("e")[1])


def _fixed(value: float, decimals: int, signed: bool) -> str:
    text = f"{abs(value):.{decimals}f}"
    zero = not any(digit in text for digit in "123456789")
    negative = math.copysign(1.0, value) < 0 and not zero
    return ("−" if negative else "+" if signed and not zero else "") + text
