"""The figures of a run: what became of copies, why some were none, how long they took."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

import numpy as np

from copytrade.core.kinds import EventKind
from copytrade.models import CopyOrder
from tradeguard.soaking.records import Records


def told(records: Records) -> Iterator[str]:
    """Yield lines for people."""
    yield f"events   {_counted(Counter(event.kind for event in records.events.values()))}"
    yield f"copies   {_counted(Counter(copy.state for copy in records.copies))}"
    skipped = [copy for copy in records.copies if copy.state == CopyOrder.State.SKIPPED]
    yield f"skipped  {_counted(Counter(copy.reason for copy in skipped))}"
    failed = [copy for copy in records.copies if copy.state == CopyOrder.State.FAILED]
    yield f"failed   {_counted(Counter(copy.sentence[:60] for copy in failed), '; ')}"
    yield f"orders   {_counted(Counter(order.state for order in records.orders.values()))}"
    yield from _latencies(records)


def _latencies(records: Records) -> Iterator[str]:
    """Yield the milliseconds of each hop of the opens that were filled."""
    hops: dict[str, list[float]] = {
        "fill to detected": [], "detected to planned": [], "planned to sent": [],
        "sent to answered": [], "fill to answered": [],
    }  # fmt: skip
    for copy in records.copies:
        event = records.events.get(copy.event_id)
        if event is None or event.kind != EventKind.OPEN or not copy.filled_volume:
            continue
        moments = [event.happened_at, event.detected_at, copy.planned_at, copy.sent_at,
                   copy.answered_at]  # fmt: skip
        if any(moment is None for moment in moments):
            continue
        known: Sequence[datetime] = [moment for moment in moments if moment is not None]
        steps = [(after - before).total_seconds() * 1000
                 for before, after in pairwise(known)]  # fmt: skip
        for name, value in zip(hops, [*steps, sum(steps)], strict=True):
            hops[name].append(value)
    for name, values in hops.items():
        if values:
            p50, p95, p99 = np.percentile(values, [50, 95, 99])
            yield (
                f"{name:20} p50 {p50:9.1f} ms  p95 {p95:9.1f} ms  p99 {p99:9.1f} ms"
                f"  ({len(values)} opens)"
            )


def _counted(counts: "Counter[str]", separator: str = ", ") -> str:
    return separator.join(f"{count} {name}" for name, count in counts.most_common()) or "none"
