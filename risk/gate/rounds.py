"""What the gate found of orders that it decided about together: kept as found, worded when read."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from risk.core.gate.findings import Findings
from risk.core.gate.packed_findings import pack, unpack
from risk.core.gate.verdicts import Check
from risk.models import GateCheck, GateRound, Order

logger = logging.getLogger(__name__)

_ID_BYTES = 16


def round_row(findings: Findings, gated_at: datetime) -> GateRound:
    """Return the row that stands for the checks of orders which were all gated at that moment."""
    return GateRound(
        gated_at=gated_at,
        order_count=len(findings.order_ids),
        order_ids=b"".join(order_id.bytes for order_id in findings.order_ids),
        payload=pack(findings),
    )


def ledger_rows(order_id: UUID, checks: Iterable[Check], at: datetime) -> list[GateCheck]:
    """Return the checks of an order as rows of the ledger, unsaved."""
    return [
        GateCheck(
            order_id=order_id,
            number=number,
            check_name=check.name,
            rule_id=check.rule_id,
            rule_name=check.rule_name[:64],
            verdict=check.verdict.value,
            value=check.value,
            limit=check.limit,
            unit=check.unit[:16],
            allowed_volume=check.allowed_volume,
            sentence=check.sentence[:255],
            created_at=at,
        )
        for number, check in enumerate(checks)
    ]


def checks_in_rounds(orders: Iterable[Order]) -> dict[UUID, list[GateCheck]]:
    """Word what rounds kept of these orders; two queries.

    Of an order that two rounds of one moment know, the later one is what counts.
    """
    wanted: dict[datetime, list[UUID]] = {}
    for order in orders:
        if order.gated_at is not None:
            wanted.setdefault(order.gated_at, []).append(order.pk)
    if not wanted:
        return {}
    round_of: dict[UUID, int] = {}
    heads = GateRound.objects.filter(gated_at__in=wanted).order_by("pk")
    for pk, gated_at, order_ids in heads.values_list("pk", "gated_at", "order_ids"):
        known = set(_ids(bytes(order_ids)))
        round_of.update((each, pk) for each in wanted[gated_at] if each in known)
    rows = GateRound.objects.in_bulk(set(round_of.values()))
    findings = {pk: _findings(row) for pk, row in rows.items()}
    return {
        order_id: _worded(findings[pk], order_id, rows[pk]) for order_id, pk in round_of.items()
    }


def checks_of_round(row: GateRound) -> Mapping[UUID, Sequence[GateCheck]]:
    """Word what a round kept of each of its orders."""
    findings = _findings(row)
    return {order_id: _worded(findings, order_id, row) for order_id in _ids(bytes(row.order_ids))}


def _ids(packed: bytes) -> Iterator[UUID]:
    for first in range(0, len(packed), _ID_BYTES):
        yield UUID(bytes=packed[first : first + _ID_BYTES])


def _worded(findings: Findings | None, order_id: UUID, row: GateRound) -> list[GateCheck]:
    if findings is None:
        return []
    checks = findings.checks(findings.order_ids.index(order_id))
    return ledger_rows(order_id, checks, row.gated_at)


def _findings(row: GateRound) -> Findings | None:
    """Read what was found; None, with a word in the log, for what another version has written."""
    try:
        return unpack(bytes(row.payload))
    except ValueError:
        logger.exception("Round %s of the gate cannot be read.", row.pk)
        return None
