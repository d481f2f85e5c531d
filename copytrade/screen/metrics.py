"""How well copying goes, as a page shows it: numbers in words, bars on one scale."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from accounts.figures import amount
from copytrade.core.kinds import SkipReason
from copytrade.core.sentences import plain_sentence
from copytrade.screen.words import lots, milliseconds, points
from copytrade.selectors.metrics import CopyMetrics, HopLatency

_HOPS: Final = {
    "planned": "Noticed → planned",
    "gated": "Planned → checked",
    "sent": "Checked → sent",
    "answered": "Sent → answered",
    "detected_to_sent": "Noticed → sent",
    "detected_to_answered": "Noticed → answered",
}
_WHOLE: Final = frozenset({"detected_to_sent", "detected_to_answered"})
_BAR_WIDTH: Final = 100.0
_MOST_REASONS: Final = 8


@dataclass(frozen=True, slots=True)
class Period:
    name: str
    label: str
    length: timedelta


PERIODS: Final = (
    Period("hour", "1 hour", timedelta(hours=1)),
    Period("day", "24 hours", timedelta(days=1)),
    Period("week", "7 days", timedelta(days=7)),
    Period("month", "30 days", timedelta(days=30)),
)


@dataclass(frozen=True, slots=True)
class HopRow:
    """A step's percentiles; `bars` are the widths of p99, p95 and p50 on one scale of 100."""

    name: str
    p50: str
    p95: str
    p99: str
    bars: tuple[str, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class ReasonRow:
    sentence: str
    count: int
    percent: str


@dataclass(frozen=True, slots=True)
class MetricsPanel:
    """`rate` is the share of what was to be copied and was; a skip is no failure."""

    metrics: CopyMetrics
    rate: str
    tone: str
    under_way: int
    lots: str
    hops: tuple[HopRow, ...]
    reasons: tuple[ReasonRow, ...]
    mean_points: str
    worst_points: str
    money: tuple[str, ...]

    @property
    def total(self) -> int:
        told = self.metrics
        return told.done + told.failed + told.skipped + self.under_way


def period_named(name: str | None) -> Period:
    return next((period for period in PERIODS if period.name == name), PERIODS[1])


def metrics_panel(told: CopyMetrics) -> MetricsPanel:
    fraction = told.success_fraction
    known = [hop for hop in told.hops if hop.hop in _HOPS and hop.count]
    longest = max((hop.p99 or 0.0 for hop in known), default=0.0) or 1.0
    slippage = told.slippage
    return MetricsPanel(
        metrics=told,
        rate=_rate(fraction),
        tone="none" if fraction is None else "safe" if fraction == 1 else "critical",
        under_way=told.planned + told.ordered,
        lots=lots(told.filled_lots),
        hops=tuple(_hop_row(hop, longest) for hop in known),
        reasons=_reasons(told),
        mean_points=points(slippage.mean_points) or "—",
        worst_points=points(slippage.worst_points) or "—",
        money=tuple(
            f"{amount(abs(total))} {name} {'lost' if total > 0 else 'won'}"
            for name, total in slippage.money.items()
            if round(total, 2)
        ),
    )


def _rate(fraction: float | None) -> str:
    """Write a share; 100 % only when there was no failure at all."""
    if fraction is None:
        return "—"
    percent = 100.0 if fraction == 1 else min(fraction * 100, 99.99)
    return f"{percent:.2f}".rstrip("0").rstrip(".") + " %"


def _hop_row(hop: HopLatency, longest: float) -> HopRow:
    p50, p95, p99 = (each or 0.0 for each in (hop.p50, hop.p95, hop.p99))
    return HopRow(
        name=_HOPS[hop.hop],
        p50=milliseconds(p50 / 1000),
        p95=milliseconds(p95 / 1000),
        p99=milliseconds(p99 / 1000),
        bars=tuple(f"{max(0.0, each) / longest * _BAR_WIDTH:.1f}" for each in (p99, p95, p50)),
        is_whole=hop.hop in _WHOLE,
    )


def _reasons(told: CopyMetrics) -> tuple[ReasonRow, ...]:
    total = sum(skip.count for skip in told.skips) or 1
    return tuple(
        ReasonRow(
            plain_sentence(SkipReason(skip.reason)), skip.count, f"{skip.count / total * 100:.1f}"
        )
        for skip in told.skips[:_MOST_REASONS]
    )
