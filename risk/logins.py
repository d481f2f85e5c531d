"""Whether a reading is of the login that the desk expects."""

import numpy as np

from accounts.terminals.readings import ReadingBatch
from risk.core.arrays import Flags, Integers
from risk.desk import Desk


class Logins:
    """The logins that a desk expects behind its accounts.

    Sessions follow an edited login a moment after the desk does; until then they still read the
    login before, on which no rule may be judged.
    """

    def __init__(self, desk: Desk) -> None:
        self._servers = [account.server if account else "" for account in desk.accounts]
        self._logins = np.array(
            [account.login if account else -1 for account in desk.accounts], dtype=np.int64
        )
        self._names: tuple[str, ...] = ()
        self._numbers: Integers = np.full(len(self._servers), -1, dtype=np.int64)

    def answered_in(self, batch: ReadingBatch) -> Flags:
        """Tell which rows of the batch are readings of the expected login."""
        if batch.servers != self._names:
            numbers = {name: number for number, name in enumerate(batch.servers)}
            self._numbers = np.array([numbers.get(name, -1) for name in self._servers], np.int64)
            self._names = batch.servers
        accounts = batch.accounts
        matches: Flags = (accounts["login"] == self._logins) & (accounts["server"] == self._numbers)
        return matches & (self._numbers >= 0)
