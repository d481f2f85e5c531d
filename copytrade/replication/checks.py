"""What the gate looked at for many orders: a row for a hundred of them, worded when somebody looks.

An order has some twenty checks: as rows they were twenty thousand for a thousand followers, the
most of all that copying wrote.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain, repeat
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from copytrade.replication.inserts import insert_columns, word_of
from risk.core.gate.deciding import Round
from risk.core.gate.verdicts import GateDecision
from risk.gate.passing import may_pass_later
from risk.gate.rounds import round_row
from risk.ledger.host_ledger import AWAY
from risk.models import GateCheck
from risk.orders.doubts import forget_connection

logger = logging.getLogger(__name__)

# A round of the gate, with the moment that is the `gated_at` of its orders.
Decided = tuple[Round, datetime]

# So many refusals are written together, each with all of its checks.
_REFUSED_TOGETHER: Final = 10
# What waits holds the readings that were decided by.
_MANY: Final = 50


class Notes:
    """What the gate looked at and is not written yet; to be added to from any thread."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._parts: deque[tuple[Round, int, datetime]] = deque()
        self._refused: deque[GateDecision] = deque()

    @property
    def are_there(self) -> bool:
        return bool(self._parts or self._refused)

    @property
    def are_many(self) -> bool:
        """Tell whether they should be written though there is other work."""
        return len(self._parts) + len(self._refused) // _REFUSED_TOGETHER > _MANY

    def add(self, rounds: Iterable[Decided], refusals: Sequence[GateDecision]) -> None:
        noted: set[UUID] = set()
        for decided, gated_at in rounds:
            self._parts.extend((decided, part, gated_at) for part in range(decided.part_count))
            if refusals:
                noted.update(decided.cases.intents.order_ids)
        # What may pass later has no moment at which it was gated, and its lane takes the rows away.
        self._refused.extend(
            each for each in refusals if each.order_id not in noted or may_pass_later(each)
        )

    def write_all(self) -> None:
        while self.are_there:
            self.write_some()

    def write_some(self) -> None:
        """Write a part of them; never raise: they are nothing that anything else depends on."""
        try:
            if self._parts:
                decided, part, gated_at = self._parts.popleft()
                round_row(decided.part(part), gated_at).save(force_insert=True)
            else:
                count = min(_REFUSED_TOGETHER, len(self._refused))
                write_checks([self._refused.popleft() for _ in range(count)], self._clock())
        except IntegrityError as error:
            # An order that its lane asked the gate about again has the newer ones.
            logger.info("Checks of the gate were there already: %s", error)
        except AWAY as error:
            forget_connection()
            logger.warning("Checks of the gate could not be written: %s", error)
        except Exception:
            logger.exception("Checks of the gate are lost.")
            forget_connection()


def write_checks(decisions: Iterable[GateDecision], now: datetime) -> None:
    """Write the checks of these decisions, all or none; put into words before the database waits.

    Raises IntegrityError when those of one of the orders are there already.
    """
    told = [(decision.order_id, decision.checks) for decision in decisions]
    checks = list(chain.from_iterable(mine for _, mine in told))
    if not checks:
        return
    say = word_of()
    values: dict[str, list[Any]] = {
        "check_name": [check.name for check in checks],
        "rule_id": [check.rule_id for check in checks],
        "rule_name": [check.rule_name[:64] for check in checks],
        "verdict": [check.verdict.value for check in checks],
        "value": [check.value for check in checks],
        "limit": [check.limit for check in checks],
        "unit": [check.unit[:16] for check in checks],
        "allowed_volume": [check.allowed_volume for check in checks],
        "sentence": [check.sentence[:255] for check in checks],
    }
    said = {name: list(map(say, column)) for name, column in values.items()}
    said["order_id"] = list(chain.from_iterable(repeat(say(pk), len(mine)) for pk, mine in told))
    said["number"] = list(chain.from_iterable(map(say, range(len(mine))) for _, mine in told))
    said["created_at"] = [say(now)] * len(checks)
    with transaction.atomic():
        insert_columns(GateCheck, said, len(checks))
