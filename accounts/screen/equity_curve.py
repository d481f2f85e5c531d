"""The equity of an account as a line: what a server-rendered SVG needs, nothing computed in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from accounts.figures import amount, signed
from accounts.models import ConnectedAccount, EquitySnapshot
from accounts.selectors import equity_of

WIDTH, HEIGHT = 1000, 200
MOST_POINTS = 400
# A line goes on over a gap of so many periods.
MOST_MISSING = 5
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
        .only("at", "equity", "equity_low", "equity_high")
    )
    if len(snapshots) < 2:
        return None
    return _drawn(snapshots, account.currency, period)


def _thinned(snapshots: Sequence[EquitySnapshot]) -> list[EquitySnapshot]:
    """Keep both ends, and of each stretch the highest and the lowest: a spike must not vanish."""
    stretch = -(-len(snapshots) // (MOST_POINTS // 2))
    if stretch <= 2:
        return list(snapshots)
    kept = {snapshots[0].at, snapshots[-1].at}
    for start in range(0, len(snapshots), stretch):
        part = snapshots[start : start + stretch]
        kept |= {min(part, key=_equity).at, max(part, key=_equity).at}
    return [each for each in snapshots if each.at in kept]


def _equity(snapshot: EquitySnapshot) -> float:
    return float(snapshot.equity)


def _drawn(snapshots: Sequence[EquitySnapshot], currency: str, period: Period) -> EquityCurve:
    first, last = snapshots[0], snapshots[-1]
    # Of whole periods, not only of their ends, which the line goes through.
    low = float(min(each.equity_low for each in snapshots))
    high = float(max(each.equity_high for each in snapshots))
    change = _equity(last) - _equity(first)
    across = WIDTH / (last.at - first.at).total_seconds()
    down = (HEIGHT - 2 * _PADDING) / ((high - low) or 1.0)

    def point(snapshot: EquitySnapshot) -> str:
        x = (snapshot.at - first.at).total_seconds() * across
        y = _PADDING + (high - _equity(snapshot)) * down
        return f"{x:.1f},{y:.1f}"

    kept = {each.at for each in _thinned(snapshots)}
    lines = ([point(each) for each in run if each.at in kept] for run in _runs(snapshots, period))
    return EquityCurve(
        lines=tuple(" ".join(points) for points in lines if len(points) > 1),
        low=amount(low),
        high=amount(high),
        first_at=first.at,
        last_at=last.at,
        change=signed(change),
        tone="gain" if change > 0 else "loss" if change < 0 else "none",
        summary=(
            f"Equity went from {amount(_equity(first))} to {amount(_equity(last))} {currency};"
            f" lowest {amount(low)}, highest {amount(high)}."
        ),
    )


def _runs(snapshots: Sequence[EquitySnapshot], period: Period) -> list[list[EquitySnapshot]]:
    """Part the snapshots where too many are missing between two: the account was not read."""
    longest = timedelta(seconds=MOST_MISSING * period.resolution)
    runs = [[snapshots[0]]]
    for before, snapshot in pairwise(snapshots):
        if snapshot.at - before.at > longest:
            runs.append([])
        runs[-1].append(snapshot)
    return runs
