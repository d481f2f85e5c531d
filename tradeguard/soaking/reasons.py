"""Whether each skip was right: its reason must have held, by the records or by the terms."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from copytrade.core.kinds import EventKind, SkipReason
from copytrade.models import CopyEvent, CopyOrder
from tradeguard.soaking.cast import Pair
from tradeguard.soaking.records import BY_PROGRAM, IN, Records

_SOON: Final = timedelta(seconds=40)
_OPENS: Final = (EventKind.OPEN, EventKind.PENDING_PLACED)
_ENDS: Final = (EventKind.CLOSE, EventKind.PENDING_CANCELLED, EventKind.PENDING_FILLED)


class Reasons:
    """Judges skips; `troubles_at` are the moments at which readings went missing."""

    def __init__(self, records: Records, troubles_at: list[datetime]) -> None:
        self._records = records
        self._troubles_at = troubles_at
        self._judges: Mapping[str, Callable[[Pair, CopyEvent, CopyOrder], bool]] = {
            SkipReason.LATE: self._is_late,
            SkipReason.BELOW_MINIMUM: self._is_small,
            SkipReason.SYMBOL_EXCLUDED: lambda pair, event, _: (
                event.symbol in pair.relationship.exclude_symbols
            ),
            SkipReason.DIRECTION: lambda pair, *_: pair.relationship.directions != "both",
            SkipReason.MOST_POSITIONS: lambda pair, *_: bool(pair.relationship.maximum_positions),
            SkipReason.SLIPPAGE: lambda pair, *_: bool(pair.relationship.maximum_slippage_points),
            SkipReason.PENDINGS_OFF: lambda pair, *_: not pair.relationship.copies_pendings,
            SkipReason.STOPS_OFF: lambda pair, *_: (
                not pair.relationship.copies_stops or pair.is_netting
            ),
            SkipReason.NO_STOP: lambda pair, *_: pair.relationship.sizing == "risk_percent",
            SkipReason.NO_READING: self._was_troubled,
            SkipReason.NO_RATE: self._was_troubled,
            SkipReason.NOT_HELD: self._held_nothing,
            SkipReason.LEFT: self._was_left,
            SkipReason.UNCHANGED: lambda *_: True,
        }

    def wrong(self) -> Iterator[str]:
        pairs = {pair.relationship.pk: pair for pair in self._records.cast.pairs}
        for copy in self._records.copies:
            if copy.state != CopyOrder.State.SKIPPED:
                continue
            pair, event = pairs[copy.relationship_id], self._records.events.get(copy.event_id)
            judge = self._judges.get(copy.reason)
            if event is None or judge is None or not judge(pair, event, copy):
                yield f"{pair.follower.name}: {event} was skipped wrongly: {copy.sentence}"

    def _is_late(self, pair: Pair, event: CopyEvent, copy: CopyOrder) -> bool:
        age = (copy.ended_at or copy.planned_at) - event.happened_at
        deadline = timedelta(seconds=pair.relationship.open_deadline_seconds)
        return event.kind in _OPENS and (age > deadline or self._is_overtaken(event))

    def _is_overtaken(self, event: CopyEvent) -> bool:
        """Tell whether the provider had ended it again before it was copied."""
        return any(
            one.kind in _ENDS
            and one.provider_id == event.provider_id
            and one.detected_at >= event.detected_at
            and (
                (one.position_ticket is not None and one.position_ticket == event.position_ticket)
                or (one.order_ticket is not None and one.order_ticket == event.order_ticket)
            )
            for one in self._records.events.values()
        )

    def _is_small(self, pair: Pair, event: CopyEvent, copy: CopyOrder) -> bool:
        if event.kind not in _OPENS or pair.relationship.sizing != "multiplier":
            return True
        wanted = (event.volume or Decimal(0)) * pair.relationship.multiplier
        return wanted < self._records.steps(pair, copy.symbol or event.symbol)[0]

    def _was_troubled(self, _pair: Pair, _event: CopyEvent, copy: CopyOrder) -> bool:
        return any(at <= copy.planned_at <= at + _SOON for at in self._troubles_at)

    def _held_nothing(self, pair: Pair, event: CopyEvent, _copy: CopyOrder) -> bool:
        """Nothing was open at the follower of what the event is about, when it was planned."""
        rows = [
            row
            for row in self._records.rows_of.get(pair.relationship.pk, ())
            if row.provider_position in (event.position_ticket, event.order_ticket)
        ]
        return all(row.closed_at is not None or row.opened_at >= event.detected_at for row in rows)

    def _was_left(self, pair: Pair, event: CopyEvent, _copy: CopyOrder) -> bool:
        tickets = {
            row.follower_position
            for row in self._records.rows_of.get(pair.relationship.pk, ())
            if row.provider_position == event.position_ticket
        }
        return any(
            deal.position in tickets and deal.entry != IN and deal.reason != BY_PROGRAM
            for deal in self._records.of(pair.follower).deals
        )
