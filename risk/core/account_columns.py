"""The accounts of a reading as columns in which what is not known is NaN."""

from dataclasses import dataclass

import numpy as np

from accounts.terminals.readings import ReadingBatch
from risk.core.arrays import Flags, Floats


@dataclass(frozen=True, slots=True)
class AccountColumns:
    """One element per account; money in the account's currency, the margin level in percent."""

    known: Flags
    balance: Floats
    equity: Floats
    credit: Floats
    margin: Floats
    margin_level: Floats
    own_equity: Floats  # equity without credit, which every loss rule leaves out

    def __len__(self) -> int:
        return len(self.known)


def account_columns(batch: ReadingBatch, accepted: Flags) -> AccountColumns:
    """Take the columns out of a batch; a row that was not accepted is not known."""
    rows = batch.accounts
    names = ("balance", "equity", "credit", "margin", "margin_level")
    raw = {name: np.ascontiguousarray(rows[name], dtype=np.float64) for name in names}
    known = np.asarray(accepted, dtype=np.bool_)
    for column in raw.values():
        known = known & np.isfinite(column)
    columns = {name: np.where(known, column, np.nan) for name, column in raw.items()}
    return AccountColumns(known=known, own_equity=columns["equity"] - columns["credit"], **columns)
