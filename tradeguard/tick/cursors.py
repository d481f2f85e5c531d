"""From which deal on a session has to ask its terminal, for everybody who needs deals."""

from collections.abc import Sequence
from uuid import UUID

from accounts.history.deals import stored_deals
from risk.state_store import stored_cursors


def needed_cursors(account_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the newest deal of each account that baselines and history both contain.

    An account that one of them knows nothing of is asked for all of its deals.
    """
    counted, recorded = stored_cursors(account_ids), stored_deals(account_ids)
    return {
        account_id: min(ticket, recorded[account_id])
        for account_id, ticket in counted.items()
        if account_id in recorded
    }
