"""A relationship's terms in words, as somebody reads them before saying yes."""

from collections.abc import Iterator
from dataclasses import dataclass

from copytrade.core.kinds import BelowMinimum, Directions, Sizing
from copytrade.models import CopyRelationship
from copytrade.screen.words import lots, plain

_MOST_NAMES = 12
_RATIOS = {
    Sizing.EQUITY_RATIO: "equities",
    Sizing.BALANCE_RATIO: "balances",
    Sizing.FREE_MARGIN_RATIO: "free margins",
}


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    text: str


def term_lines(row: CopyRelationship) -> list[Term]:
    """Return every term that does something, the size first."""
    lines = [Term("Size", size_text(row)), *_limits(row), *_filters(row), *_stops(row)]
    return [*lines, *_timing(row)]


def size_text(row: CopyRelationship) -> str:
    """Say in a few words how a copy's lots come about."""
    factor = "" if row.multiplier == 1 else f", times {plain(row.multiplier)}"
    match row.sizing:
        case Sizing.FIXED_LOT:
            return f"Always {lots(row.fixed_lots)} lots"
        case Sizing.RISK_PERCENT:
            share = "—" if row.risk_fraction is None else plain(row.risk_fraction * 100)
            return f"{share} % of the equity lost at the stop"
        case Sizing.MULTIPLIER if row.multiplier == 1:
            return "As many lots as the provider"
        case Sizing.MULTIPLIER:
            return f"{plain(row.multiplier)} times the provider's lots"
        case _:
            return f"By the ratio of the {_RATIOS[Sizing(row.sizing)]}{factor}"


def _limits(row: CopyRelationship) -> Iterator[Term]:
    minimum = (
        "is skipped" if row.below_minimum == BelowMinimum.SKIP else "is raised to the smallest lot"
    )
    yield Term("Too small", f"Less than the smallest lot {minimum}")
    if row.maximum_lots is not None:
        yield Term("At most", f"{lots(row.maximum_lots)} lots a copy")
    if row.maximum_positions is not None:
        yield Term("Open at once", f"At most {row.maximum_positions}")
    if row.equity_stop is not None:
        currency = row.follower.currency if row.follower_id else ""
        yield Term(
            "Equity stop", f"At {row.equity_stop:,.2f} {currency} copies are closed, and it pauses"
        )


def _filters(row: CopyRelationship) -> Iterator[Term]:
    if row.include_symbols:
        yield Term("Symbols", f"Only {_listed(row.include_symbols)}")
    if row.exclude_symbols:
        yield Term("Not", _listed(row.exclude_symbols))
    if row.symbol_map:
        pairs = [f"{theirs} = {ours}" for theirs, ours in row.symbol_map.items()]
        yield Term("Names", _listed(pairs))
    if row.directions != Directions.BOTH:
        yield Term("Directions", row.get_directions_display())
    if row.magics:
        yield Term("Magic numbers", _listed([str(each) for each in row.magics]))
    if row.is_reverse:
        yield Term("Reverse", "A buy there is a sell here")


def _stops(row: CopyRelationship) -> Iterator[Term]:
    own = [
        f"{name} {points:,} points away"
        for name, points in (
            ("stop loss", row.stop_loss_points),
            ("take profit", row.take_profit_points),
        )
        if points
    ]
    copied = "The provider's, with every change" if row.copies_stops else "Not copied"
    yield Term("Stops", f"{copied}; own {' and '.join(own)}" if own else copied)
    yield Term("Pending orders", "Copied" if row.copies_pendings else "Not copied, only their fill")


def _timing(row: CopyRelationship) -> Iterator[Term]:
    if row.maximum_slippage_points is not None:
        yield Term("Slippage", f"At most {row.maximum_slippage_points:,} points")
    yield Term("Opens", f"Within {row.open_deadline_seconds} s; closes always")
    if row.trading_from is not None and row.trading_until is not None:
        hours = f"{row.trading_from:%H:%M} to {row.trading_until:%H:%M} {row.trading_zone}"
        yield Term("Hours of opens", hours)
    yield Term("Begins with", row.get_start_policy_display())
    is_all = row.cascade_scope == CopyRelationship.CascadeScope.EVERYTHING
    closed = "Everything is" if is_all else "What was copied is"
    yield Term("Provider liquidated", f"{closed} closed here")


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    text = ", ".join(names[:_MOST_NAMES])
    return f"{text} and {more} more" if more > 0 else text
