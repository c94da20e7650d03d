"""Numbers and laws as text: the same digits in legends, captions and the report."""

import math

from scalelaws.laws.fitted import DETERMINED, Estimate, FittedLaw

LEGEND_CHARACTERS = 62
"""What fits beside the legend's key in one column of a paper."""
SYMBOL_CHARACTERS = 7
NOTHING = 1e-3
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits: 0.0764, 3.42, 1,240, 8.80×10¹³."""
    if value == 0 or not math.isfinite(value):
        return {0.0: "0", math.inf: "∞", -math.inf: "−∞"}.get(value, "–")
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 < exponent < 5:
        return _minus(f"{value:,.{max(0, digits - 1 - exponent)}f}")
    mantissa = value / 10.0**exponent
    return _minus(f"{mantissa:.{digits - 1}f}") + f"×10{str(exponent).translate(SUPERSCRIPTS)}"


def with_interval(value: float, low: float, high: float) -> str:
    """A value and its interval with the digits that the interval's width justifies: 0.076 [0.070, 0.082].

    Large and tiny numbers share one power of ten, (8.8 [7.1, 9.9])×10¹³, unless the interval spans several.
    """
    largest = max(abs(value), abs(low), abs(high))
    if not math.isfinite(largest) or largest == 0:
        return f"{number(value)} [{number(low)}, {number(high)}]"
    exponent = math.floor(math.log10(max(abs(value), largest / 100)))
    narrow = max(min(value - low, high - value), 0.02 * (high - low))
    # two digits of the interval's narrower side, but no more than three of the value (four if it is known to 1%)
    decimals = max(0, min(_decimals(narrow), (2 if narrow > 0.005 * largest else 3) - exponent))
    if -4 < exponent < 5:
        return f"{_fixed(value, decimals)} [{_fixed(low, decimals)}, {_fixed(high, decimals)}]"
    if low <= 0 or high / low > 100:
        return f"{number(value, 2)} [{number(low, 2)}, {number(high, 2)}]"
    scale = 10.0**exponent
    decimals = max(0, min(_decimals(narrow / scale), 2))
    shares = [_fixed(part / scale, decimals) for part in (value, low, high)]
    return f"({shares[0]} [{shares[1]}, {shares[2]}])×10{str(exponent).translate(SUPERSCRIPTS)}"


def estimate_value(estimate: Estimate) -> str:
    """A parameter's value and interval; an irreducible loss of next to nothing is said to be just that."""
    if estimate.symbol == "E" and estimate.high < NOTHING:
        return f"0 [0, {number(estimate.high, 1)}]" if estimate.high > NOTHING / 1000 else "0"
    return with_interval(estimate.value, estimate.low, estimate.high)


def estimate_text(estimate: Estimate) -> str:
    """A parameter as a legend says it, in mathtext: $\\alpha_N$ = 0.076 [0.070, 0.082]."""
    return f"${estimate.symbol}$ = {estimate_value(estimate)}"


def law_label(law: FittedLaw) -> str:
    """A law as a legend says it: its formula, then its numbers with intervals, as many to a line as fit."""
    lines = [f"${law.formula}$"]
    room = 0
    for estimate in law.parameters.values():
        length = len(estimate_value(estimate)) + SYMBOL_CHARACTERS
        if length <= room:
            lines[-1] += f",  {estimate_text(estimate)}"
            room -= length
        else:
            lines.append(estimate_text(estimate))
            room = LEGEND_CHARACTERS - length
    if law.status != DETERMINED:
        lines.insert(0, "Not determined by these data:")
    return "\n".join(lines)


def percent(share: float) -> str:
    """A relative error as readers want it: 2.3%, 0.04%, 12%."""
    size = abs(share) * 100
    return f"{size:.0f}%" if size >= 9.95 else f"{size:.1f}%" if size >= 0.095 else f"{size:.2f}%"


def _decimals(width: float) -> int:
    """Decimals that give a width two significant digits."""
    return 1 - math.floor(math.log10(width)) if width > 0 else 3


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return _minus(text if text.strip("-0.") else text.lstrip("-"))


def _minus(text: str) -> str:
    return text.replace("-", "−")
