"""The equity of an account as a line: what a server-rendered SVG needs, nothing computed in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.figures import amount, signed
from accounts.models import ConnectedAccount, EquitySnapshot
from accounts.selectors import equity_of

WIDTH, HEIGHT = 1000, 200
MOST_POINTS = 400
_PADDING = 8


@dataclass(frozen=True, slots=True)
class Period:
    """How far back a curve reaches, and of what it is made."""

    name: str
    label: str
    length: timedelta
    resolution: EquitySnapshot.Resolution


PERIODS = (
    Period("day", "1 day", timedelta(days=1), EquitySnapshot.Resolution.MINUTE),
    Period("month", "30 days", timedelta(days=30), EquitySnapshot.Resolution.HOUR),
    Period("year", "1 year", timedelta(days=365), EquitySnapshot.Resolution.DAY),
)


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """`lines` are the points of polylines; a gap in the readings is a gap in the line."""

    lines: tuple[str, ...]
    low: str
    high: str
    first_at: datetime
    last_at: datetime
    change: str
    tone: str
    summary: str


def period_named(name: str | None) -> Period:
    return next((period for period in PERIODS if period.name == name), PERIODS[0])


def equity_curve(account: ConnectedAccount, period: Period, *, now: datetime) -> EquityCurve | None:
    """Return the curve of the account's present login, None when there is nothing to draw."""
    snapshots = list(
        equity_of(account)
        .filter(resolution=period.resolution, at__gte=now - period.length)
        .order_by("at")
        .only("at", "equity")
    )
    if len(snapshots) < 2:
        return None
    return _drawn(_thinned(snapshots), account.currency, period)


def _thinned(snapshots: Sequence[EquitySnapshot]) -> list[EquitySnapshot]:
    """Keep of each stretch the highest and the lowest: a spike must not vanish."""
    stretch = -(-len(snapshots) // (MOST_POINTS // 2))
    if stretch <= 2:
        return list(snapshots)
    kept: list[EquitySnapshot] = []
    for start in range(0, len(snapshots), stretch):
        part = snapshots[start : start + stretch]
        ends = {min(part, key=_equity).at, max(part, key=_equity).at}
        kept.extend(each for each in part if each.at in ends)
    return kept


def _equity(snapshot: EquitySnapshot) -> float:
    return float(snapshot.equity)


def _drawn(snapshots: Sequence[EquitySnapshot], currency: str, period: Period) -> EquityCurve:
    first, last = snapshots[0], snapshots[-1]
    values = [_equity(each) for each in snapshots]
    low, high = min(values), max(values)
    change = values[-1] - values[0]
    span = (last.at - first.at).total_seconds()
    height = (high - low) or 1.0
    points = []
    for snapshot, value in zip(snapshots, values, strict=True):
        x = (snapshot.at - first.at).total_seconds() / span * WIDTH
        y = _PADDING + (high - value) / height * (HEIGHT - 2 * _PADDING)
        points.append((snapshot.at, f"{x:.1f},{y:.1f}"))
    # Minutes are missing while the account is disconnected; thinned ones lie further apart.
    longest = max(5 * period.resolution, 3 * span / len(snapshots))
    return EquityCurve(
        lines=_lines(points, longest),
        low=amount(low),
        high=amount(high),
        first_at=first.at,
        last_at=last.at,
        change=signed(change),
        tone="gain" if change > 0 else "loss" if change < 0 else "none",
        summary=(
            f"Equity went from {amount(values[0])} to {amount(values[-1])} {currency};"
            f" lowest {amount(low)}, highest {amount(high)}."
        ),
    )


def _lines(points: Sequence[tuple[datetime, str]], longest_gap_seconds: float) -> tuple[str, ...]:
    lines: list[list[str]] = [[]]
    before: datetime | None = None
    for at, point in points:
        if before is not None and (at - before).total_seconds() > longest_gap_seconds:
            lines.append([])
        lines[-1].append(point)
        before = at
    return tuple(" ".join(line) for line in lines if len(line) > 1)
