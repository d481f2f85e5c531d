"""What a rule looks at: the accounts, what they hold, and what is known around them."""

from dataclasses import dataclass

from risk.core.account_columns import AccountColumns
from risk.core.exposures import Exposures
from risk.core.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Holdings:
    """The accounts of one batch; `exposures` also has the strategies behind them as holders."""

    accounts: AccountColumns
    exposures: Exposures
    surroundings: Surroundings
