"""Who holds what a rule counts: a whole account, or one strategy on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from risk.core.arrays import Integers
from risk.core.parameters import RuleParameters
from risk.core.rule_types import ACTIVITY_RULES, LOSS_RULES


@dataclass(frozen=True, slots=True)
class Strategies:
    """The strategies to which rules on positions are narrowed: account and magic number.

    Sorted by both, each once. Their holders are numbered on from the last account.
    """

    account: Integers
    magic: Integers

    def __len__(self) -> int:
        return len(self.account)


def find_holders(
    rules: Sequence[RuleParameters], accounts: int, rule_index: Integers, account_index: Integers
) -> tuple[Integers, Strategies]:
    """Number the holder of each pair: the row of its account, or that of a strategy behind them.

    What follows from deals, losses and activity, is counted per pair and needs no holder.
    """
    is_narrowed = np.array(
        [
            rule.magic is not None and rule.rule_type not in LOSS_RULES | ACTIVITY_RULES
            for rule in rules
        ],
        dtype=np.bool_,
    )
    magics = np.array([rule.magic or 0 for rule in rules], dtype=np.int64)
    pairs = np.flatnonzero(is_narrowed[rule_index])
    holder = account_index.copy()
    keys = np.stack([account_index[pairs], magics[rule_index[pairs]]])
    distinct, inverse = np.unique(keys, axis=1, return_inverse=True)
    holder[pairs] = accounts + inverse.reshape(-1)
    return holder, Strategies(distinct[0], distinct[1])
