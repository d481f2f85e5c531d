"""When a pair is warned of, for every course that statuses can take."""

from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from risk.core.rule_types import RuleType
from risk.core.statuses import Status
from risk.desk import Desk
from risk.notices.warnings import CALM_SECONDS, WarningWatch
from risk.tracker import Assessment

STATUSES = st.sampled_from(list(Status))
STEPS = st.lists(
    st.tuples(st.lists(STATUSES, min_size=3, max_size=3), st.sampled_from([0.2, 60.0, 700.0])),
    max_size=30,
)
LEVEL = {Status.SAFE: 0, Status.CAUTION: 1, Status.CRITICAL: 2, Status.VIOLATED: 2}


class Pairs:
    """The columns of a table of three pairs of one rule that the watch looks at."""

    rule_index = np.zeros(3, dtype=np.int64)

    def __len__(self) -> int:
        return 3

    def slice_of(self, rule_type: RuleType) -> slice:
        return slice(0, 0) if rule_type is not RuleType.MAX_DAILY_LOSS else slice(0, 3)


def desk() -> Desk:
    rules = (SimpleNamespace(is_cutoff=False),)
    keys = [(UUID(int=9), UUID(int=number)) for number in range(3)]
    return cast("Desk", SimpleNamespace(pairs=Pairs(), rules=rules, pair_keys=lambda: keys))


def assessment(of: Desk, statuses: list[Status], moment: float) -> Assessment:
    present = np.array(statuses, dtype=np.int8)
    latched = SimpleNamespace(latched=np.zeros(3, dtype=np.bool_))
    found = SimpleNamespace(
        desk=of,
        moment=moment,
        evaluation=SimpleNamespace(present=present),
        latches=SimpleNamespace(state=latched),
    )
    return cast("Assessment", found)


class Model:
    """One pair, told in plain words: what was told, and since when it is better than that."""

    def __init__(self) -> None:
        self.told = 0
        self.better_since: float | None = None

    def step(self, status: Status, moment: float) -> bool:
        """Return whether this status at this moment is worth a warning."""
        if status is Status.UNKNOWN:
            return False
        level = LEVEL[status]
        if level > self.told:
            self.told, self.better_since = level, None
            return status is not Status.VIOLATED
        if level == self.told:
            self.better_since = None
            return False
        self.better_since = moment if self.better_since is None else self.better_since
        if moment - self.better_since >= CALM_SECONDS:
            self.told, self.better_since = level, None
        return False


@given(STEPS, st.integers(0, 30))
def test_it_warns_as_the_plain_words_say(steps: list[Any], reload_at: int) -> None:
    watch, models, moment, table = WarningWatch(), [Model() for _ in range(3)], 1_000.0, desk()
    for number, (statuses, seconds) in enumerate(steps):
        moment += seconds
        if number == reload_at:
            table = desk()
        rises = watch.note(assessment(table, statuses, moment), cast("Any", None))
        expected = [
            pair
            for pair, (model, status) in enumerate(zip(models, statuses, strict=True))
            if model.step(status, moment)
        ]
        assert (rises.pairs.tolist() if rises is not None else []) == expected


def test_what_a_process_sees_for_the_first_time_is_marked() -> None:
    watch, table = WarningWatch(), desk()
    unknown, critical, safe = Status.UNKNOWN, Status.CRITICAL, Status.SAFE
    first = watch.note(assessment(table, [critical, unknown, safe], 0.0), cast("Any", None))
    assert first is not None
    assert (first.pairs.tolist(), first.is_first.tolist()) == ([0], [True])
    then = watch.note(assessment(table, [critical, critical, critical], 0.2), cast("Any", None))
    assert then is not None
    assert (then.pairs.tolist(), then.is_first.tolist()) == ([1, 2], [True, False])
