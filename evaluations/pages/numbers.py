"""Numbers of a run as people read them; what nobody knows is told as unknown, never as nothing."""

from datetime import timedelta
from decimal import Decimal


def percent(share: float) -> str:
    """Never a rounded 100 % or 0 %."""
    value = 100 * share
    if 0 < value < 1 or 99 < value < 100:
        return f"{max(0.1, min(99.9, round(value, 1))):g} %"
    return f"{round(value)} %"


def points(share: float) -> str:
    value = f"{round(100 * share, 1):g}"
    return "1 point" if value == "1" else f"{value} points"


def signed_points(delta: float, *, whole: bool = False) -> str:
    """`+14.2`, `−1.2`, `0.0`, with a real minus."""
    value = round(100 * delta, 0 if whole else 1)
    size = f"{abs(value):.0f}" if whole else f"{abs(value):.1f}"
    return size if value == 0 else f"{'+' if value > 0 else '−'}{size}"


def times(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 9.995 else f"{round(ratio)} times"


def money(usd: Decimal | float | None) -> str:
    """In dollars, as providers ask for them; so little that cents hide it keeps its digits."""
    if usd is None:
        return "unknown"
    value = float(usd)
    if value == 0:
        return "nothing"
    return f"${value:,.2f}" if value >= 1 else f"${value:.2f}" if value >= 0.1 else f"${value:.4f}"


def lasting(time: timedelta | float | None) -> str:
    """`4 min 12 s`, `38 s`, `2 h 5 min`."""
    if time is None:
        return ""
    seconds = round(time.total_seconds() if isinstance(time, timedelta) else time)
    if seconds < 60:
        return f"{max(seconds, 0)} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
